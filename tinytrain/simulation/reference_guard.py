"""The guard in a session on the NumPy reference: what it looks at, saves and brings back."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinytrain.ir.operations import loss_index
from tinytrain.ir.types import DType
from tinytrain.reference.errors_seen import ClassErrors
from tinytrain.reference.guard import (
    ACTIONS,
    FEWEST_ELEMENTS,
    REASONS,
    Guard,
    mean_square,
    most_ends,
)
from tinytrain.reference.health import ends_of
from tinytrain.reference.interpret import Machine
from tinytrain.simulation.guard import GuardCheck

Look = Callable[[], Iterable[tuple[float, int]]]
"""Loss and label (-1 where there is none) of each sample that is kept apart, as it is now."""


class GuardedMachine:
    """A machine under a guard.

    Args:
        machine: that trains.
        interval: steps from one check to the next.
        classes: 0 where the target of a sample is no label.
        is_share: whether a loss is minus the logarithm of a probability.
        look: at the samples that are kept apart.
        memory: what else a step changes: an object that is copied with the state and brought back.
    """

    def __init__(
        self,
        machine: Machine,
        interval: int,
        classes: int,
        *,
        is_share: bool,
        look: Look,
        memory: dict[str, Any],
    ) -> None:
        self.guard = Guard(is_share, [ClassErrors() for _ in range(classes)])
        machine.guard = self.guard
        self.checks: list[GuardCheck] = []
        self._machine, self._interval, self._look = machine, interval, look
        self._memory = memory
        self._most = [most_ends(one, machine.graph.parameters) for one in machine.trained]
        self._saved: tuple[Any, ...] | None = None

    def check(self, step: int, *, is_last: bool = False) -> None:
        """The check that is due before a step on a new sample, or the last one."""
        guard = self.guard
        if is_last:
            guard.is_strict = True
        elif not guard.is_due(self._interval):
            return
        for loss, label in self._look():
            guard.look(loss, label)
        found = guard.kept.mean, guard.best.mean, guard.fresh.mean
        is_unlike = guard.is_unlike()
        action = guard.judge(self._norm(), is_at_ends=self._is_at_ends())
        reason = REASONS[guard.due]
        if guard.due:
            self._restore()
        elif action == "saved":
            self._saved = copy.deepcopy(self._state())
        assert action in ACTIONS
        factor = float(guard.rate(1.0))
        self.checks.append(GuardCheck(step, action, reason, *found, factor, is_unlike=is_unlike))

    def _state(self) -> tuple[Any, ...]:
        machine = self._machine
        # Values are the keys of a graph, and stay what they are.
        parameters = list(machine.parameters.values())
        return parameters, machine.scales, machine.step, self.guard, self._memory

    def _restore(self) -> None:
        assert self._saved is not None, "the first check saves"
        machine, before = self._machine, self.guard
        parameters, scales, step, self.guard, memory = copy.deepcopy(self._saved)
        machine.parameters = dict(zip(machine.parameters, parameters, strict=True))
        machine.scales = scales
        machine.step = replace(step, rate=machine.step.rate)
        self.guard.carried(before)
        machine.guard = self.guard
        self._memory.clear()
        self._memory.update(memory)

    def _norm(self) -> np.float32:
        values = self._machine.parameters
        weights = [tensor.parameter for tensor in self._machine.trained]
        return mean_square([values[w] for w in weights if w.type.dtype is DType.S8])

    def _is_at_ends(self) -> bool:
        machine = self._machine
        return any(
            tensor.parameter.type.size >= FEWEST_ELEMENTS
            and ends_of(tensor, machine.parameters) > most
            for tensor, most in zip(machine.trained, self._most, strict=True)
        )


def guarded_machine(
    machine: Machine,
    interval: int,
    kept: Sequence[Mapping[str, np.ndarray]],
    memory: dict[str, Any],
) -> GuardedMachine:
    """A machine under a guard.

    Args:
        interval: steps from one check to the next.
        kept: input and target of each sample that is kept apart.
        memory: see `GuardedMachine`.
    """
    graph = machine.graph
    loss, output = graph.outputs[:2]
    target = graph.target
    assert target is not None, "a training graph has a target"
    is_label = target.type.dtype is DType.S32

    def look() -> Iterator[tuple[float, int]]:
        trial = machine.trial(with_loss=True)
        for inputs in kept:
            label = int(inputs[target.name].ravel()[0]) if is_label else -1
            yield float(trial.run(inputs)[loss][0]), label

    return GuardedMachine(
        machine,
        interval,
        max(2, output.type.size) if is_label else 0,
        is_share="cross_entropy" in graph.nodes[loss_index(graph)].op,
        look=look,
        memory=memory,
    )
