"""What any scheme costs: RAM by the planner, flash, instructions; its folder is not built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np

from tinytrain.choosing.choices import Choices, scheme_key
from tinytrain.compiler.budget import MemoryUse, measure_memory
from tinytrain.compiler.class_weights import resolved
from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.emission import emit_folder
from tinytrain.compiler.model_end import with_loss
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step, selection, training, within
from tinytrain.emit.anomaly import Anomaly
from tinytrain.emit.folder import FolderWriter
from tinytrain.emit.follow_fields import Following
from tinytrain.emit.frozen import frozen_part
from tinytrain.emit.replay import Replay
from tinytrain.emit.state_bytes import state_bytes
from tinytrain.errors import UsageError
from tinytrain.ir.graph import Graph
from tinytrain.ir.operations import loss_index
from tinytrain.output_file import scratch_folder
from tinytrain.passes.base import Runner
from tinytrain.passes.select_trainable import SelectTrainable
from tinytrain.plan.least import least_arena
from tinytrain.plan.plan import Plan
from tinytrain.plan.schedule import ScheduleNodes
from tinytrain.plan.stems import Stems
from tinytrain.plan.within import plan_within
from tinytrain.scheme.scheme import Scheme
from tinytrain.scheme.ways import WAYS
from tinytrain.target import Target

_STEP_BYTES = 24
_FED_BYTES = 4
"""Of a state in front of its scales, where its parameters begin: for their alignment alone."""

_FED_STATE = 400
"""Bytes that feeding rows adds to state and stack, about."""

_MOST_STEPS = 64
"""Training steps that are kept."""

_FLASH_PER_NODE = 300
"""Bytes of code and tables that a node of the backward pass takes: MCUNet-5FPS, 286 to 313."""


@dataclass(frozen=True)
class Cost:
    """What a training step takes.

    Attributes:
        ram: bytes, everything counted; of the smallest plan where none fits what was asked for.
        flash: bytes, estimated; the linker of the real folder decides.
        instructions: of a step, estimated as the manifest says it.
        arena, trained: bytes of RAM, in `ram` too.
    """

    ram: int
    flash: int
    instructions: int
    arena: int
    trained: int


def cost_of(compiled: Compiled, memory: MemoryUse) -> Cost:
    """Of a folder that was built and measured."""
    ram, plan = memory.ram, compiled.plan
    trained = ram["trained parameters"]
    return Cost(ram["total"], memory.flash["total"], plan.cost, plan.nbytes, trained)


@dataclass(frozen=True)
class Least:
    """The least RAM of a scheme.

    Attributes:
        ram: bytes, everything counted.
        layer: where so much is needed; None in the frozen stem.
    """

    ram: int
    layer: str | None


class Costs:
    """Costs of the schemes of one model, one target and one set of options.

    One folder is built and measured, with the biases of all layers: stack, main program and what
    else does not depend on the scheme are known from there. Of any other scheme the planner alone
    is asked. Its RAM is that of the real folder up to the stack, whose deepest path differs by some
    tens of bytes between schemes.

    Args:
        forward: s8, from `to_integers`.
        options: as for `build_step`; the scheme that they name does not count.
        samples: as for `build_step`.

    Attributes:
        choices: the schemes that can be chosen.
        reference: what was measured of the folder that was built.
        beside: bytes of RAM that do not depend on the scheme.
        isa: the richest instruction set of the core.
        nodes: of the step that was built.

    Raises:
        TinytrainError: the model or the options do not fit, or the toolchain is missing.
    """

    def __init__(
        self,
        forward: Graph,
        options: Options,
        target: Target,
        samples: np.ndarray | None = None,
    ) -> None:
        options = with_loss(options, forward)
        self._forward, self._target, self._samples = forward, target, samples
        self.isa = target.isa
        self._runner, self._stems = Runner(), Stems()
        self._base = self._runner.run(forward, selection(options, Scheme("head"))[:-1])
        shape = self._base.outputs[0].type.shape
        weights = resolved(options.class_weights, options.loss, shape)
        self._options = replace(options, class_weights=weights)
        self.choices = Choices.of(self._base, fed=self._is_fed)
        self._steps: dict[object, Graph] = {}
        self._known: dict[object, Cost] = {}
        self._least: dict[object, Least] = {}
        compiled = self._compiled(self._most())
        self.reference = self._measured(compiled)
        self._classes, self._wants = compiled.classes, compiled.wants
        self.nodes = len(compiled.graph.nodes)
        ram = self.reference.ram
        own = ram["arena"] + self.state_bytes(compiled.graph, self._buffers(compiled.plan))
        self.beside = ram["total"] - own

    @property
    def _is_fed(self) -> bool:
        return self._options.feed == "rows"

    def _most(self) -> Scheme:
        """The scheme whose folder stands for all."""
        count, middle = self.choices.counts[-1], list(self.choices.ratios)
        half = {middle[len(middle) // 2]: 0.5} if middle else {}
        half = {layer: max(r for r in self.choices.ratios[layer] if r <= 0.5) for layer in half}
        return self.choices.scheme(count, half)

    def _compiled(self, scheme: Scheme) -> Compiled:
        options = self._options
        if isinstance(options.learning_rate, str):
            options = replace(options, learning_rate=None)
        return build_step(self._forward, options, self._runner, self._samples, self.isa, scheme)

    def _measured(self, compiled: Compiled) -> MemoryUse:
        """What a folder takes, which is dropped then."""
        with scratch_folder() as folder, FolderWriter(folder / "folder") as writer:
            files = emit_folder(writer, compiled, self._target)
            return measure_memory(writer.path, self._target, compiled, files)

    def of(self, scheme: Scheme, ram: int | None = None) -> Cost:
        """What a scheme costs in the fastest plan, or in the fastest one within a budget.

        Args:
            ram: budget in bytes, everything counted. Where no plan keeps it, the cost is that of
                the smallest plan, which takes more.

        Raises:
            UsageError: rows are to be fed to layers that need the whole input.
        """
        key = *scheme_key(scheme), ram
        if key not in self._known:
            graph = self._step(scheme)
            self._known[key] = self._cost(graph, self.plan(scheme, ram))
        return self._known[key]

    def plan(self, scheme: Scheme, ram: int | None = None) -> Plan:
        """The plan that `of` costs."""
        graph = self._step(scheme)
        plan = self._planned(graph, None)
        while ram is not None and (excess := self._cost(graph, plan).ram - ram) > 0:
            asked = plan.nbytes - excess
            smaller = self._planned(graph, asked)
            if smaller.nbytes >= plan.nbytes:
                break
            plan = smaller
            if plan.lower_bound > asked:
                break  # nothing smaller was found, and asking for less finds the same
        return plan

    def measured(self, scheme: Scheme, ram: int) -> Cost:
        """The same as the linker places it: its folder is built in the plan that RAM asks for, or
        in the smallest."""
        compiled = self._compiled(scheme)
        while True:
            memory = self._measured(compiled)
            excess = memory.ram["total"] - ram
            smaller = within(compiled, compiled.plan.nbytes - excess) if excess > 0 else compiled
            if smaller.plan.nbytes >= compiled.plan.nbytes:
                break
            compiled = smaller
        return cost_of(compiled, memory)

    def fed_ram(self, scheme: Scheme) -> int | None:
        """Bytes of RAM about, where the input arrived row by row; None where it already does, or
        layers need the whole input."""
        if self._is_fed:
            return None
        graph = self._step(scheme)
        try:
            plan, _ = plan_within(graph, self.isa, 0, fed=True)
        except UsageError:
            return None
        return self._cost(graph, plan).ram + _FED_STATE

    def least(self, scheme: Scheme) -> Least:
        """The least RAM of a scheme, fast: nothing is placed, no better order looked for.

        The smallest plan takes about so much: a better order may save some percent, gaps in the
        arena may take some.
        """
        key = scheme_key(scheme)
        if key not in self._least:
            graph = self.in_plain_order(scheme)
            self._least[key] = self._least_of(graph)
        return self._least[key]

    def least_in_order(self, scheme: Scheme) -> Least:
        """The same in the order on the device: no plan without gaps takes less."""
        return self._least_of(self._step(scheme))

    def _least_of(self, graph: Graph) -> Least:
        found = least_arena(graph, self.isa, fed=self._is_fed, stems=self._stems)
        layer = None if found.peak is None else graph.nodes[found.peak].layer
        return Least(found.nbytes + self.state_bytes(graph) + self.beside, layer)

    def _planned(self, graph: Graph, nbytes: int | None) -> Plan:
        options = self._options
        plan, _ = plan_within(
            graph,
            self.isa,
            nbytes,
            fed=self._is_fed,
            recompute=options.recompute,
            stems=self._stems,
        )
        return plan

    def _cost(self, graph: Graph, plan: Plan) -> Cost:
        ram = plan.nbytes + self.state_bytes(graph, self._buffers(plan)) + self.beside
        flash = self.reference.flash["total"] + _FLASH_PER_NODE * (len(graph.nodes) - self.nodes)
        trained = sum(data.nbytes for data in graph.parameters.values())
        return Cost(ram, flash, plan.cost, plan.nbytes, trained)

    def state_bytes(self, graph: Graph, buffers: Sequence[int] = ()) -> int:
        """Bytes of RAM in front of the arena that depend on what trains."""
        beside = _STEP_BYTES + (_FED_BYTES if self._is_fed else 0)
        return state_bytes(graph, beside, buffers=buffers, health=self._options.health)

    def _buffers(self, plan: Plan) -> list[int]:
        """Bytes of buffers whose size depends on which layers are frozen."""
        graph, options = plan.graph, self._options
        index = loss_index(graph)
        part, label = frozen_part(graph, plan, graph.nodes[:index]), graph.nodes[index].inputs[1]
        parts = (
            Replay.of(options.replay, options.replay_in, self._classes, label.type, part),
            Anomaly.of(options.anomaly_request, self._wants, part),
            Following.of(graph),
        )
        return [part.ram_bytes for part in parts if part is not None]

    def _step(self, scheme: Scheme) -> Graph:
        """The scheduled training step of a scheme."""
        key = scheme_key(scheme)
        if key not in self._steps:
            passes = training(self._options, scheme, self._samples)
            self._steps[key] = self._runner.run(self.selected(scheme), passes)
            if len(self._steps) > _MOST_STEPS:
                del self._steps[next(iter(self._steps))]
        return self._steps[key]

    def selected(self, scheme: Scheme) -> Graph:
        """The forward graph with the parameters of a scheme."""
        if WAYS[scheme.choice].measured:
            # Whichever channels samples say, they take the same.
            scheme = replace(scheme, choice=next(iter(WAYS)))
        select = SelectTrainable(scheme, self._options.fraction_bits, self._options.seed)
        return self._runner.run(self._base, [select])

    def in_plain_order(self, scheme: Scheme) -> Graph:
        """The training step of a scheme, for which no better order was looked for."""
        passes = training(self._options, scheme, self._samples)
        before = takewhile(lambda step: step.name != ScheduleNodes.name, passes)
        return ScheduleNodes().plain(self._runner.run(self.selected(scheme), before))
