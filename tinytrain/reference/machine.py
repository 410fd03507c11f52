"""The state of a model between and within steps: what evaluations read and change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import traits_of
from tinytrain.ir.trained import trained_tensors
from tinytrain.ir.types import DType
from tinytrain.reference import gradients, update
from tinytrain.reference.class_health import ClassCounts, counted_classes
from tinytrain.reference.class_weights import initial_counts
from tinytrain.reference.follow import FollowState, channels_of
from tinytrain.reference.health import HEALTH_STEPS, GradientHealth, UpdateHealth
from tinytrain.reference.schedule import step_rate


@dataclass
class Scale:
    """State of one gradient's scale: docs/arithmetic.md section 5."""

    exponent: int = 0
    running_max: int = 0
    peak: int = 0


def update_indices(graph: Graph) -> dict[str, int]:
    """u of docs/arithmetic.md section 6: the place of an update among the updates."""
    names = [node.name for node in graph.nodes if traits_of(node).overwrites]
    return {name: index for index, name in enumerate(names)}


def rounding_nodes(graph: Graph) -> dict[str, Node]:
    """By exponent, in graph order, the nodes that round a gradient to a scale that adapts.

    `loss_e` is not among them: it is always 0.
    """
    nodes: dict[str, Node] = {}
    for node in graph.nodes:
        if traits_of(node).rounds and node.output.type.exponent not in (None, "loss_e"):
            nodes.setdefault(str(node.output.type.exponent), node)
    return nodes


def scale_names(graph: Graph) -> list[str]:
    """The exponents of `rounding_nodes`."""
    return list(rounding_nodes(graph))


class MachineState:
    """What outlives a step, and what the nodes of a step hand on beside their outputs.

    Args:
        graph: forward or training graph.
        rate: learning rate.
        seed: of the random numbers that round updates.

    Attributes:
        parameters: data of each parameter as it is now.
        scales: of the gradients, by the name of their exponent.
        accumulation_window: steps whose gradients are applied together.
        step: rate, loss normaliser, seed and number of the step.
        active: whether the loss of this step has a gradient.
        followed: what follows drift, by layer.
        follows: whether a run takes its sample into that.
        class_counts: samples of each class, uint16 [classes], where the loss is weighted by them.
    """

    def __init__(self, graph: Graph, *, rate: float, seed: int) -> None:
        self.graph = graph
        self.parameters = {value: data.copy() for value, data in graph.parameters.items()}
        self.scales = {name: Scale() for name in scale_names(graph)}
        self.accumulation_window = graph.accumulate
        self.step = update.StepState(rate=step_rate(rate, self.accumulation_window), seed=seed)
        self.active = True
        self.followed = {
            node.layer: FollowState(channels_of(node, graph.constants[node.inputs[2]]))
            for node in graph.nodes
            if "follow" in node.attrs
        }
        self.follows = False
        self.class_counts = initial_counts(graph)
        self.trained = trained_tensors(graph)
        self.gradient_health = [GradientHealth() for _ in self.scales]
        self.update_health = {tensor.update.name: UpdateHealth() for tensor in self.trained}
        self.class_health = [ClassCounts() for _ in range(counted_classes(graph))]
        self._indices = update_indices(graph)
        self._tables: dict[str, Any] = {}

    def exponent(self, value: Value) -> int:
        """E of a gradient."""
        name = value.type.exponent
        return self.scales[name].exponent if name in self.scales else 0

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
    def applies(self) -> bool:
        """Whether this step is the last of an accumulation window."""
        return (self.step.count + 1) % 2**32 % self.accumulation_window == 0

    @property
    def windows(self) -> int:
        """Accumulation windows before this one."""
        return self.step.count // self.accumulation_window

    def count_update(self, node: Node, sums: np.ndarray, d: np.ndarray) -> None:
        """Counts an update in the steps that are looked at."""
        if self.step.count % HEALTH_STEPS == 0:
            self.update_health[node.name].count(sums, d)

    def index(self, node: Node) -> int:
        """u of an update node."""
        return self._indices[node.name]
