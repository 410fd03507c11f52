"""Runs a graph in NumPy, to the bit as the device does.

`Machine` holds what outlives a step: parameters, scales of the gradients, seed, step count and
learning rate. What each operation computes stands in the table of `evaluation`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.ops_training import LOSS_OPS
from tinytrain.ir.ops_update import UPDATE_OPS, gradient_window
from tinytrain.ir.trained import trained_tensors
from tinytrain.ir.types import DType
from tinytrain.reference import (
    evaluate_apply,  # noqa: F401  (fills the table)
    evaluate_forward,  # noqa: F401  (fills the table)
    evaluate_training,  # noqa: F401  (fills the table)
    gradients,
    update,
)
from tinytrain.reference.evaluation import EVALUATE
from tinytrain.reference.health import (
    HEALTH_STEPS,
    GradientHealth,
    Health,
    UpdateHealth,
    ends_of,
)
from tinytrain.reference.schedule import CONSTANT, Schedule, rate_at

ROUNDING = frozenset(
    {
        "conv2d_grad_input",
        "avg_pool2d_grad",
        "max_pool2d_grad",
        "activation_grad",
        "multiply_grad",
        "multiply_grad_broadcast",
        "grad_add",
    }
)
"""Operations that round a gradient to a scale of its own."""

Observer = Callable[[Node, Mapping[Value, np.ndarray]], None]


@dataclass
class Scale:
    """State of one gradient's scale: docs/arithmetic.md section 5."""

    exponent: int = 0
    running_max: int = 0
    peak: int = 0


def update_indices(graph: Graph) -> dict[str, int]:
    """u of docs/arithmetic.md section 6: the place of an update among the updates."""
    names = [node.name for node in graph.nodes if node.op in UPDATE_OPS]
    return {name: index for index, name in enumerate(names)}


def rounding_nodes(graph: Graph) -> dict[str, Node]:
    """By exponent, in graph order, the nodes that round a gradient to a scale that adapts.

    `loss_e` is not among them: it is always 0.
    """
    nodes: dict[str, Node] = {}
    for node in graph.nodes:
        if node.op in ROUNDING and node.output.type.exponent not in (None, "loss_e"):
            nodes.setdefault(str(node.output.type.exponent), node)
    return nodes


def scale_names(graph: Graph) -> list[str]:
    """The exponents of `rounding_nodes`."""
    return list(rounding_nodes(graph))


class Machine:
    """A graph with its state.

    Args:
        graph: forward or training graph.
        rate: learning rate.
        schedule: that starts from it.
        seed: of stochastic rounding.
        observer: called after each node with everything computed so far.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        rate: float = 0.0,
        schedule: Schedule = CONSTANT,
        seed: int = 0,
        observer: Observer | None = None,
    ) -> None:
        self.graph = graph
        self.parameters = {value: data.copy() for value, data in graph.parameters.items()}
        self.scales = {name: Scale() for name in scale_names(graph)}
        # Of a window of accumulated gradients the mean counts: each comes in with its share.
        self.window = gradient_window(graph)
        share = float(np.float32(rate) / np.float32(self.window))
        self.step = update.Step(rate=share, seed=seed)
        self.active = True
        self.schedule = schedule
        self._trained = trained_tensors(graph)
        self._gradients = [GradientHealth() for _ in self.scales]
        self._updates = {tensor.update.name: UpdateHealth() for tensor in self._trained}
        self._done, self._skipped = 0, 0
        self._indices = update_indices(graph)
        self._observer = observer
        self._tables: dict[str, Any] = {}

    def exponent(self, value: Value) -> int:
        """E of a gradient."""
        name = value.type.exponent
        return self.scales[name].exponent if name in self.scales else 0

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[Value, np.ndarray]:
        """Runs all nodes once; parameters and scales change as on the device.

        A loss that is NaN or infinite ends the step there: nothing changes.

        Args:
            inputs: by name; an s8 activation, the label, the target.

        Returns:
            every value that was computed.
        """
        known: dict[Value, np.ndarray] = {value: inputs[value.name] for value in self.graph.inputs}
        known.update(self.graph.constants)
        known.update(self.parameters)
        for scale in self.scales.values():
            scale.peak = 0
        base = self.step.rate
        now = rate_at(self.schedule, base, self.step.count // self.window)
        self.step = replace(self.step, rate=float(now))
        is_finite = self._run_nodes(known)
        self.step = replace(self.step, rate=base)
        if not is_finite:
            self._skipped += 1
            return known
        for parameter, value in self.graph.updates.items():
            self.parameters[parameter] = known[value]
        if self.graph.updates or self.scales:
            self._end_of_step()
        return known

    def _run_nodes(self, known: dict[Value, np.ndarray]) -> bool:
        """Adds the outputs of all nodes; False if it ends at a loss that is not finite."""
        for node in self.graph.nodes:
            results = self.evaluate(node, [known[value] for value in node.inputs])
            known.update(zip(node.outputs, results, strict=True))
            if self._observer is not None:
                self._observer(node, known)
            if node.op in LOSS_OPS and not np.isfinite(known[node.outputs[0]][0]):
                return False
        return True

    def evaluate(self, node: Node, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """The outputs of one node; a rounding node leaves its peak in its scale."""
        results = EVALUATE[node.op](self, node, *inputs)
        return (results,) if isinstance(results, np.ndarray) else results

    def _end_of_step(self) -> None:
        dtype = next((v.type.dtype for v in self.graph.values() if v.type.exponent), DType.F32)
        if self.active and dtype is not DType.F32:
            limit = gradients.limit(dtype.numpy)
            for scale, health in zip(self.scales.values(), self._gradients, strict=True):
                before = scale.exponent
                scale.exponent, scale.running_max = update.scales_end(
                    scale.exponent, scale.running_max, scale.peak, limit
                )
                health.count(scale.peak, limit, before, scale.exponent)
        self._done += 1
        self.step = replace(self.step, count=(self.step.count + 1) % 2**32)

    def weights_bytes(self) -> bytes:
        """All parameters in the order of the graph, as the device saves them."""
        return b"".join(self.parameters[value].tobytes() for value in self.graph.parameters)

    def weights_sha256(self) -> str:
        """SHA-256 of `weights_bytes`."""
        return hashlib.sha256(self.weights_bytes()).hexdigest()

    def table(self, node: Node, make: Callable[[], Any]) -> Any:
        """What `make` gives, made once for each node."""
        if node.name not in self._tables:
            self._tables[node.name] = make()
        return self._tables[node.name]

    def rescale(
        self, node: Node, sums: np.ndarray, shift: int, source: int, *, wide: bool = False
    ) -> np.ndarray:
        """Rounds sums to the output's integers and keeps the peak; f32 sums stay as they are."""
        dtype = node.output.type.dtype
        if dtype is DType.F32:
            return sums.astype(np.float32)
        scale = self.scales[node.output.type.exponent or ""]
        function = gradients.rescale64 if wide else gradients.rescale
        result, peak = function(sums, shift, source, scale.exponent, dtype.numpy)
        scale.peak = peak
        return result

    @property
    def finishes(self) -> bool:
        """Whether this step is the last of a window of accumulated gradients."""
        return (self.step.count + 1) % 2**32 % self.window == 0

    @property
    def health(self) -> Health:
        """Counters of all steps so far."""
        ends = [ends_of(tensor, self.parameters) for tensor in self._trained]
        counted = self._gradients, list(self._updates.values()), ends
        return Health(self._done + self._skipped, self._skipped, *counted)

    def count_update(self, node: Node, sums: np.ndarray, d: np.ndarray) -> None:
        """Counts an update in the steps that are looked at."""
        if self.step.count % HEALTH_STEPS == 0:
            self._updates[node.name].count(sums, d)

    def index(self, node: Node) -> int:
        """u of an update node."""
        return self._indices[node.name]


def run_forward(graph: Graph, inputs: Mapping[str, np.ndarray]) -> dict[Value, np.ndarray]:
    """All values of a forward graph.

    Raises:
        InternalError: a node has no evaluation, for example as it is f32.
    """
    missing = [node.name for node in graph.nodes if node.op not in EVALUATE]
    if missing:
        raise InternalError(f"no exact evaluation of {', '.join(missing)}")
    return Machine(graph).run(inputs)
