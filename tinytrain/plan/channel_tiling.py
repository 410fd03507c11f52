"""Runs of backward nodes that work on a slice of the channels of a wide map at a time.

Between the input gradients of two layers, a wide gradient is often read channel by channel alone:
behind `project`, through a depthwise layer, to `expand`. Such a run is a loop over slices of the
channels: all of its nodes run for one slice, then for the next, so that the wide gradients never
exist whole. The input gradient that ends it needs all channels: each slice adds to its sums in s32,
and they are rounded once, behind the loop, so that every bit stays. What updates narrow tensors in
between runs behind the loop, with the random numbers that are its own anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tinytrain.ir.graph import Graph, Node, Value, last_use
from tinytrain.ir.ops_training import loss_index
from tinytrain.ir.ops_update import SGD_OPS
from tinytrain.ir.types import DType
from tinytrain.kernel.work import is_depthwise

COUNTS = (2, 3, 4, 6, 8, 12, 16)
"""Slices that a run may have."""

_LEAST = 8
"""Channels of a slice, at least: kernels work on as many at once."""


@dataclass(frozen=True)
class Slices:
    """A run of backward nodes of a scheduled graph, and how it is cut.

    Attributes:
        first, last: places of its nodes in the schedule, both included.
        channels: of the wide map.
        count: slices, all of one size.
        wide: gradients of which one slice exists at a time.
        total: the narrow gradient to whose sums each slice adds; None if nothing needs it.
        behind: names of nodes in between that run behind the loop.
    """

    first: int
    last: int
    channels: int
    count: int
    wide: tuple[Value, ...]
    total: Value | None
    behind: tuple[str, ...]

    @property
    def size(self) -> int:
        """Channels of a slice."""
        return self.channels // self.count

    @property
    def sums(self) -> int:
        """Bytes of the sums of `total`."""
        return 0 if self.total is None else 4 * self.total.type.size

    @property
    def sums_name(self) -> str | None:
        """What the storage of the sums is called; None without sums."""
        return None if self.total is None else f"{self.total.name}_sums"

    def nodes(self, graph: Graph) -> tuple[Node, ...]:
        """Those that run once for each slice."""
        run = graph.nodes[self.first : self.last + 1]
        return tuple(node for node in run if node.name not in self.behind)

    def is_total(self, node: Node) -> bool:
        """Whether a node adds to sums."""
        return self.total is not None and node.outputs[0] == self.total

    def nbytes(self, value: Value) -> int:
        """Bytes of a slice of a wide gradient."""
        return value.type.nbytes // self.count


def runs(graph: Graph) -> list[Slices]:
    """The runs that may be cut, each in one slice yet, in their order; they share no node."""
    last = last_use(graph)
    merged = {node.output for node in graph.nodes if node.op == "merge_channels"}
    found: list[Slices] = []
    for index in range(loss_index(graph), len(graph.nodes)):
        if not found or index > found[-1].last:
            run = _run(graph, index, last, merged)
            if run is not None:
                found.append(run)
    return found


def cut(graph: Graph, run: Slices) -> list[Slices]:
    """A run in all numbers of slices that its kernels can work on."""
    return [
        replace(run, count=count)
        for count in COUNTS
        if run.channels % count == 0
        and run.channels // count >= _LEAST
        and all(_is_divisible(node, run.channels // count) for node in run.nodes(graph))
    ]


def _run(graph: Graph, first: int, last: Mapping[Value, int], merged: set[Value]) -> Slices | None:
    """The run that begins with an input gradient, up to the last reader of a wide gradient."""
    head = graph.nodes[first]
    if not _is_plain_gradient(head) or head.inputs[1] in merged:
        return None
    channels = head.output.type.shape[3]
    wide, behind = [head.output], []
    total: Value | None = None
    for place in range(first + 1, len(graph.nodes)):
        node = graph.nodes[place]
        if not any(value in wide for value in node.inputs):
            if node.op not in SGD_OPS:
                return None
            behind.append(node.name)
            continue
        if _is_plain_gradient(node):
            if total is not None:
                return None
            total = node.output
        elif _keeps_channels(node, channels, merged):
            if node.op not in SGD_OPS:
                wide.append(node.output)
        else:
            return None
        if all(last[value] <= place for value in wide):
            return Slices(first, place, channels, 1, tuple(wide), total, tuple(behind))
    return None


def _is_plain_gradient(node: Node) -> bool:
    """Whether it is an integer input gradient that sums over channels."""
    return (
        node.op == "conv2d_grad_input"
        and node.attrs["groups"] == 1
        and node.output.type.dtype is not DType.F32
    )


def _keeps_channels(node: Node, channels: int, merged: set[Value]) -> bool:
    """Whether what a node does to one channel of a wide gradient needs no other channel."""
    if node.op in ("grad_clamp", "activation_grad", "bias_grad_sgd"):
        return True
    if node.op == "conv2d_grad_input":
        shape = node.inputs[0].type.shape
        return is_depthwise(node) and shape[3] == channels and node.inputs[1] not in merged
    if node.op == "conv2d_grad_weight_sgd":
        x, g = (value.type.shape for value in node.inputs[:2])
        is_whole = g[3] == channels and node.inputs[2].type.shape[0] == channels
        return is_whole and (node.attrs["groups"] == 1 or x[3] == channels == node.attrs["groups"])
    return False


def _is_divisible(node: Node, size: int) -> bool:
    """Whether a slice of so many channels begins at a whole byte of all that a node works on."""
    if node.op == "grad_clamp" and node.inputs[1].type.dtype is DType.BIT:
        return size % 8 == 0
    if node.op == "conv2d_grad_weight_sgd":
        w = node.inputs[2].type
        bits: int = node.attrs["fraction_bits"]
        return size * (w.size // w.shape[0]) * bits % 8 == 0
    return True
