"""Runs a graph in NumPy, to the bit as the device does.

`machine.MachineState` holds what outlives a step: parameters, scales of the gradients, seed, step
count and learning rate. What each operation computes stands in the table of `evaluation`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import loss_index, role_of
from tinytrain.ir.ops import Role
from tinytrain.ir.types import DType
from tinytrain.reference import (
    evaluate_apply,  # noqa: F401  (fills the table)
    evaluate_convolution,  # noqa: F401  (fills the table)
    evaluate_elementwise,  # noqa: F401  (fills the table)
    evaluate_layout,  # noqa: F401  (fills the table)
    evaluate_loss,  # noqa: F401  (fills the table)
    evaluate_normalize,  # noqa: F401  (fills the table)
    evaluate_pooling,  # noqa: F401  (fills the table)
    evaluate_update,  # noqa: F401  (fills the table)
    gradients,
    update,
)
from tinytrain.reference.class_health import count_step
from tinytrain.reference.class_weights import count_class
from tinytrain.reference.evaluation import EVALUATE
from tinytrain.reference.guard import Guard
from tinytrain.reference.health import Health, ends_of
from tinytrain.reference.loss import prediction
from tinytrain.reference.machine import MachineState
from tinytrain.reference.schedule import CONSTANT, RateSchedule, rate_at

Observer = Callable[[Node, Mapping[Value, np.ndarray]], None]


class Machine(MachineState):
    """A graph with its state, ready to run.

    Args:
        graph: forward or training graph.
        rate: learning rate.
        schedule: that starts from it.
        seed: of the random numbers that round updates.
        observer: called after each node with everything computed so far.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        rate: float = 0.0,
        schedule: RateSchedule = CONSTANT,
        seed: int = 0,
        observer: Observer | None = None,
    ) -> None:
        super().__init__(graph, rate=rate, seed=seed)
        self.schedule = schedule
        self._done, self._skipped = 0, 0
        self._observer = observer
        self.guard: Guard | None = None

    def run(
        self, inputs: Mapping[str, np.ndarray], *, is_again: bool = False
    ) -> dict[Value, np.ndarray]:
        """Runs all nodes once; parameters and scales change as on the device.

        A loss that is NaN or infinite ends the step there, as a guard does that has stopped
        learning: nothing changes.

        Args:
            inputs: by name; an s8 activation, the label, the target.
            is_again: whether the sample is one of before, which a guard does not count.

        Returns:
            every value that was computed.
        """
        known: dict[Value, np.ndarray] = {value: inputs[value.name] for value in self.graph.inputs}
        known.update(self.graph.constants)
        known.update(self.parameters)
        for scale in self.scales.values():
            scale.peak = 0
        base = self.step.rate
        self.step = replace(self.step, rate=float(self._rate_now()))
        ending = self._run_nodes(known, is_again=is_again)
        self.step = replace(self.step, rate=base)
        if ending != "done":
            self._skipped += ending == "skipped"
            return known
        for parameter, value in self.graph.updates.items():
            self.parameters[parameter] = known[value]
        if self.graph.updates:
            self._count_classes(known)
        if self.graph.updates or self.scales:
            self._end_of_step()
        return known

    def _count_classes(self, known: Mapping[Value, np.ndarray]) -> None:
        if self.graph.target is None or self.graph.target.type.dtype is not DType.S32:
            return
        label = int(known[self.graph.target].ravel()[0])
        if self.class_counts is not None:
            count_class(self.class_counts, label)
        if self.class_health:
            count_step(self.class_health, label, prediction(known[self.graph.outputs[1]]))

    def _run_nodes(self, known: dict[Value, np.ndarray], *, is_again: bool) -> str:
        """Adds the outputs of all nodes; "skipped" if it ends at a loss that is not finite, and
        "stopped" if a guard ends it there, else "done"."""
        for node in self.graph.nodes:
            results = self.evaluate(node, [known[value] for value in node.inputs])
            known.update(zip(node.outputs, results, strict=True))
            if self._observer is not None:
                self._observer(node, known)
            if role_of(node) is not Role.LOSS:
                continue
            loss = known[node.outputs[0]][0]
            if self.guard is not None:
                target = known[node.inputs[1]]
                label = int(target.ravel()[0]) if target.dtype == np.int32 else -1
                if not self.guard.step(loss, label, is_again=is_again):
                    return "stopped"
            if not np.isfinite(loss):
                return "skipped"
        return "done"

    def evaluate(self, node: Node, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """The outputs of one node; a rounding node leaves its peak in its scale."""
        results = EVALUATE[node.op](self, node, *inputs)
        return (results,) if isinstance(results, np.ndarray) else results

    def _end_of_step(self) -> None:
        dtype = next((v.type.dtype for v in self.graph.values() if v.type.exponent), DType.F32)
        if self.active and dtype is not DType.F32:
            limit = gradients.limit(dtype.numpy)
            for scale, health in zip(self.scales.values(), self.gradient_health, strict=True):
                before = scale.exponent
                scale.exponent, scale.running_max = update.scales_end(
                    scale.exponent, scale.running_max, scale.peak, limit
                )
                health.count(scale.peak, limit, before, scale.exponent)
        self._done += 1
        self.step = replace(self.step, count=(self.step.count + 1) % 2**32)

    def trial(self, *, with_loss: bool) -> Machine:
        """A machine that infers with this one's parameters as they change, and changes nothing.

        Args:
            with_loss: whether it goes on to the loss.
        """
        nodes = self.graph.nodes[: loss_index(self.graph) + with_loss]
        found = Machine(replace(self.graph, nodes=nodes, updates={}))
        found.parameters, found.followed = self.parameters, self.followed
        found.class_counts, found.scales = self.class_counts, {}
        return found

    def weights_bytes(self) -> bytes:
        """All parameters in the order of the graph, as the device saves them."""
        return b"".join(self.parameters[value].tobytes() for value in self.graph.parameters)

    def weights_sha256(self) -> str:
        """SHA-256 of `weights_bytes`."""
        return hashlib.sha256(self.weights_bytes()).hexdigest()

    @property
    def health(self) -> Health:
        """Counters of all steps so far."""
        ends = [ends_of(tensor, self.parameters) for tensor in self.trained]
        counted = self.gradient_health, list(self.update_health.values()), ends
        return Health(self._done + self._skipped, self._skipped, *counted, self.class_health)

    @property
    def rate(self) -> np.float32:
        """The learning rate of the next step."""
        return np.float32(self._rate_now()) * np.float32(self.accumulation_window)

    def _rate_now(self) -> np.float32:
        """Over the accumulation window, as the schedule and a guard leave it."""
        now = rate_at(self.schedule, self.step.rate, self.windows)
        return now if self.guard is None else self.guard.rate(now)


def run_forward(graph: Graph, inputs: Mapping[str, np.ndarray]) -> dict[Value, np.ndarray]:
    """All values of a forward graph.

    Raises:
        InternalError: a node has no evaluation, for example as it is f32.
    """
    missing = [node.name for node in graph.nodes if node.op not in EVALUATE]
    if missing:
        raise InternalError(f"no exact evaluation of {', '.join(missing)}")
    return Machine(graph).run(inputs)
