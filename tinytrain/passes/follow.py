"""Marks the convolutions that follow drift, each with what its channels were in training.

Docs/arithmetic.md section 11; `reference.follow` has the arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from tinytrain.errors import UsageError
from tinytrain.ir.graph import Graph, Node, needed_for
from tinytrain.ir.operations import frozen_count, loss_index
from tinytrain.ir.types import DType
from tinytrain.reference.convolution import conv2d_s32
from tinytrain.reference.evaluate_convolution import probed
from tinytrain.reference.evaluation import conv_geometry
from tinytrain.reference.follow import (
    LARGEST_BIAS,
    LARGEST_SQUARE,
    LEAST_POSITIONS,
    MOST_POSITIONS,
    UNITS_PER_DEVIATION,
    spread,
)
from tinytrain.reference.interpret import Machine
from tinytrain.reference.lowering import zero_of
from tinytrain.reference.packed import packed_size, unpacked
from tinytrain.reference.warm_up import evenly_spread

AUTO = "auto"
FIRST_SAMPLES = 64
"""That the means and deviations of the accumulators are first measured on."""

_NOISE_SAMPLES = 2
_LARGEST_UNIT = 2**31 - 1


@dataclass(frozen=True)
class Follow:
    """Chooses frozen convolutions, and measures their channels on calibration samples.

    Attributes:
        which: auto, how many of the first ones that suit, or their names with commas between; None
            for none.
        samples: s8 [N, ...] inputs; None measures noise, where nothing but memory is asked for.
    """

    which: str | None
    samples: np.ndarray | None
    name: ClassVar[str] = "follow"
    summary: ClassVar[str] = (
        "marks the frozen convolutions that follow drift, and measures what their channels are in "
        "training"
    )

    def __call__(self, graph: Graph) -> Graph:
        if self.which is None:
            return graph
        chosen = chosen_layers(self.which, graph)
        found = _measured(graph, chosen, self.samples)
        nodes = tuple(
            node.with_attrs(follow=found[node.layer]) if node.layer in found else node
            for node in graph.nodes
        )
        return replace(graph, nodes=nodes)


def chosen_layers(which: str, graph: Graph) -> tuple[str, ...]:
    """The names of the convolutions to follow, in execution order.

    Raises:
        UsageError: none suits, or one that is named does not.
    """
    why_not = {
        node.layer: _unsuited(node, is_frozen=is_frozen) for node, is_frozen in _convolutions(graph)
    }
    able = tuple(layer for layer, why in why_not.items() if why is None)
    if not able:
        raise UsageError(
            f"no convolution can follow drift: {_summary(why_not)}",
            help=_way_out(graph),
        )
    if which == AUTO:
        return able
    if which.isdecimal():
        if not 0 < int(which) <= len(able):
            raise UsageError(
                f"--follow {which}: {len(able)} convolutions can follow drift",
                help=f"take 1 to {len(able)}, or auto",
            )
        return able[: int(which)]
    names = [name.strip() for name in which.split(",")]
    for name in names:
        if name not in able:
            why = why_not.get(name, "the model has no such convolution")
            raise UsageError(
                f"--follow {which}: '{name}' cannot follow drift: {why}",
                help=f"those that can: {', '.join(able)}",
            )
    return tuple(layer for layer in able if layer in names)


def _convolutions(graph: Graph) -> list[tuple[Node, bool]]:
    """The convolutions of the forward pass, each with whether it is frozen."""
    forward = graph.nodes[: loss_index(graph)]
    frozen = frozen_count(graph, forward)
    return [(node, k < frozen) for k, node in enumerate(forward) if node.op == "conv2d"]


def _unsuited(node: Node, *, is_frozen: bool) -> str | None:
    """Why a convolution cannot be followed; None where it can."""
    positions = math.prod(node.output.type.shape[1:3])
    if not is_frozen:
        return "it trains, or a layer before it does"
    if node.output.type.dtype is not DType.S8:
        return "its output is not s8"
    if not LEAST_POSITIONS <= positions <= MOST_POSITIONS:
        return (
            f"its map has {positions:,} positions, and {LEAST_POSITIONS} to {MOST_POSITIONS:,} "
            "tell how a channel is distributed"
        )
    return None


def _way_out(graph: Graph) -> str:
    """Where a convolution is unsuited only because it trains, to train less."""
    if any(_unsuited(node, is_frozen=True) is None for node, _ in _convolutions(graph)):
        return "train less of the model, such as --scheme head or last-2, or leave out --follow"
    return (
        f"leave out --follow: what it follows are convolutions with maps of {LEAST_POSITIONS} to "
        f"{MOST_POSITIONS:,} positions"
    )


def _summary(why_not: Mapping[str, str | None]) -> str:
    if not why_not:
        return "the model has none"
    return "; ".join(f"'{layer}': {why}" for layer, why in list(why_not.items())[:3])


def _measured(
    graph: Graph, layers: Sequence[str], samples: np.ndarray | None
) -> dict[str, tuple[tuple[int, int, int], ...]]:
    """The attribute `follow` of each layer: center, unit and mean square of each channel."""
    nodes = {node.layer: node for node, _ in _convolutions(graph) if node.layer in layers}
    if samples is None:
        shape = (_NOISE_SAMPLES, packed_size(graph.sample))
        samples = np.random.default_rng(0).integers(-128, 128, shape).astype(np.int8)
    first = samples[evenly_spread(len(samples), min(len(samples), FIRST_SAMPLES))]
    sums = {layer: _ChannelSums() for layer in layers}
    for layer, (x, w, b) in _inputs(graph, nodes, first):
        node = nodes[layer]
        acc = conv2d_s32(x, w, b, zero_of(node.inputs[0]), **conv_geometry(node))
        sums[layer].add(acc)
    probes = {layer: _ChannelProbe.of(nodes[layer], graph, found) for layer, found in sums.items()}
    sums = {layer: _ChannelSums() for layer in layers}
    for layer, (x, w, b) in _inputs(graph, nodes, samples):
        sums[layer].add(probes[layer].output(x, w, b))
    return {layer: probes[layer].attribute(found) for layer, found in sums.items()}


def _inputs(
    graph: Graph, nodes: Mapping[str, Node], samples: np.ndarray
) -> Iterator[tuple[str, tuple[np.ndarray, ...]]]:
    """The inputs of each of the nodes for each sample."""
    needed, _ = needed_for(graph, [node.output for node in nodes.values()])
    machine = Machine(replace(graph, inputs=graph.sample, nodes=needed, updates={}))
    machine.scales = {}
    for sample in samples:
        known = machine.run(unpacked(graph.sample, sample[None]))
        for layer, node in nodes.items():
            yield layer, tuple(known[value] for value in node.inputs)


class _ChannelSums:
    """Sums of integers and of their squares over positions and samples, by channel."""

    def __init__(self) -> None:
        self.count, self.sum, self.squares = 0, np.zeros(1), np.zeros(1)

    def add(self, values: np.ndarray) -> None:
        flat = values.reshape(-1, values.shape[-1]).astype(np.float64)
        self.count += len(flat)
        self.sum = self.sum + flat.sum(axis=0)
        self.squares = self.squares + (flat * flat).sum(axis=0)

    @property
    def mean(self) -> np.ndarray:
        result: np.ndarray = self.sum / self.count
        return result

    @property
    def variance(self) -> np.ndarray:
        result: np.ndarray = np.maximum(self.squares / self.count - self.mean**2, 0.0)
        return result


@dataclass(frozen=True, eq=False)
class _ChannelProbe:
    """A convolution's probe, from what its accumulators are: center and unit int64 [O]."""

    node: Node
    center: np.ndarray
    unit: np.ndarray

    @classmethod
    def of(cls, node: Node, graph: Graph, found: _ChannelSums) -> _ChannelProbe:
        deviation = np.sqrt(found.variance)
        unit = np.rint(256.0 * deviation / UNITS_PER_DEVIATION)
        # A channel that stands still has nothing to follow, and none may leave 32 bits.
        unit = np.where((deviation >= 1.0) & (unit <= _LARGEST_UNIT), unit, 0.0)
        return cls(node, np.rint(found.mean).astype(np.int64), unit.astype(np.int64))

    def output(self, x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
        return probed(self.node, self.unit, b - self.center, x, w)

    def attribute(self, found: _ChannelSums) -> tuple[tuple[int, int, int], ...]:
        """With the probe's own mean moved into the center."""
        center = self.center + np.rint(found.mean * self.unit / 256.0).astype(np.int64)
        square = np.minimum(np.rint(found.variance * 2.0**16), LARGEST_SQUARE).astype(np.int64)
        # Less than a unit of the probe is no deviation that could be told from rounding.
        is_alive = spread(np.zeros_like(square), square) >= 256
        is_alive &= (self.unit > 0) & (np.abs(center) <= LARGEST_BIAS)
        center, unit = np.where(is_alive, center, 0), np.where(is_alive, self.unit, 0)
        rows = zip(center.tolist(), unit.tolist(), square.tolist(), strict=True)
        return tuple((int(c), int(u), int(q)) for c, u, q in rows)
