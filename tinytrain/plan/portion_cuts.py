"""Along what a node can be cut into parts, and what each part asks of its kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import role_of
from tinytrain.ir.ops import Role
from tinytrain.kernel.work import Work, is_depthwise

PartOf = Callable[[Work, int, int], Work | None]
"""From the work of a node, the first element of a part and how many it has; None where no kernel
could be asked for it."""

_ELEMENTS = 64
"""Elements that a part begins at a multiple of: bits of a mask fill whole bytes."""
_LANES = 8
"""Positions that a part begins at a multiple of: kernels take as many at once."""
_PLANES = 4
"""Channels, likewise."""


@dataclass(frozen=True)
class Extent:
    """Along what a node can be cut.

    Attributes:
        kind: "elements", "positions", "rows", "grad_rows", "channels" of a depthwise layer,
            "biases", "outputs" or "columns".
        sizes: how many there are; two numbers for a layer whose weights lie in two parts.
        quantum: a part begins at a multiple of it.
        part: the work of a part.
        copied: bytes of a copy for each of them, where a part's channels have to lie apart.
    """

    kind: str
    sizes: tuple[int, ...]
    quantum: int
    part: PartOf
    copied: int = 0


def extents_of(graph: Graph, node: Node, *, in_place: bool) -> Iterator[Extent]:
    """Each way in which a node can be cut; none for a node that runs as a whole.

    Args:
        in_place: whether its output lies over one of its inputs.
    """
    if node.op in _ELEMENTWISE:
        yield Extent("elements", (node.inputs[0].type.size,), _ELEMENTS, _counted)
    elif "window" in node.attrs and role_of(node) is not Role.GRADIENT:
        yield Extent("rows", (node.outputs[0].type.shape[1],), 1, _rows)
    elif node.op == "bias_grad_sgd":
        g = node.inputs[0]
        copied = _apart(g, g.type.shape[-1])
        yield Extent("biases", (g.type.shape[-1],), _PLANES, _counted, copied)
    elif node.op == "conv2d_grad_weight_sgd":
        yield from _weight(node)
    elif node.op in ("conv2d", "conv2d_grad_input"):
        if is_depthwise(node):
            yield from _depthwise(graph, node)
        elif not in_place:
            yield from _map(node)
            yield from _dense(graph, node)


_ELEMENTWISE = (
    "add",
    "subtract",
    "activation",
    "clamp_mask",
    "grad_clamp",
    "grad_add",
    "negate",
    "activation_grad",
)


def _counted(work: Work, first: int, count: int) -> Work:
    return replace(work, count=count)


def _map(node: Node) -> Iterator[Extent]:
    """Of the map that a convolution, or its input gradient, writes."""
    kernel = node.inputs[1].type.shape[1:3]
    is_gradient = role_of(node) is Role.GRADIENT
    _, height, width, _ = node.output.type.shape
    if kernel == (1, 1) and node.attrs["strides"] == (1, 1) and node.attrs["padding"][:2] == (0, 0):
        if height * width > 1 and node.inputs[0].type.shape[1:3] == (height, width):
            yield Extent("positions", (height * width,), _LANES, _positions)
        return
    if height > 1 and is_gradient:
        yield Extent("grad_rows", (height,), 1, _grad_rows)
    elif height > 1:
        yield Extent("rows", (height,), 1, _rows)


def _positions(work: Work, first: int, count: int) -> Work:
    return replace(work, in_h=1, in_w=count, out_h=1, out_w=count)


def _rows(work: Work, first: int, count: int) -> Work | None:
    """Rows of the output: those of the input that their windows meet."""
    start = first * work.stride_h - work.pad_top
    reach = (work.kernel_h - 1) * work.dilation_h + 1
    end = min(work.in_h, start + (count - 1) * work.stride_h + reach)
    skip = max(0, start)
    if end <= skip:
        return None
    return replace(work, in_h=end - skip, out_h=count, pad_top=max(0, -start))


def grad_rows(work: Work, first: int, count: int) -> tuple[int, int, int] | None:
    """For rows of an input gradient: the first row of the output that reads them, how many do, and
    the rows of padding above; None where no window meets them."""
    reach = (work.kernel_h - 1) * work.dilation_h
    above = first + work.pad_top
    begin = min(above // work.stride_h, max(0, -((reach - 1 - above) // work.stride_h)))
    end = min(work.out_h, (above + count - 1) // work.stride_h + 1)
    return None if end <= begin else (begin, end - begin, above - begin * work.stride_h)


def _grad_rows(work: Work, first: int, count: int) -> Work | None:
    found = grad_rows(work, first, count)
    if found is None:
        return None
    _, rows, pad = found
    return replace(work, in_h=count, out_h=rows, pad_top=pad)


def _depthwise(graph: Graph, node: Node) -> Iterator[Extent]:
    w = node.inputs[1]
    total = w.type.shape[0]
    group = total // (
        node.inputs[0].type.shape[3] if node.op == "conv2d" else node.output.type.shape[3]
    )
    producer = graph.producers().get(w)
    if producer is None or role_of(producer) is not Role.VIEW:
        yield Extent("channels", (total,), _PLANES * group, _counted)
    elif group == 1:
        chosen = len(producer.attrs["channels"])
        yield Extent("channels", (chosen, total - chosen), _PLANES, _counted)


def _dense(graph: Graph, node: Node) -> Iterator[Extent]:
    """Output channels of a convolution, and input channels of its gradient: they are written apart
    and copied to where they belong, unless the map is a single position."""
    if node.attrs["groups"] != 1:
        return
    y = node.output
    copied = _apart(y, y.type.shape[3])
    if node.op == "conv2d":
        yield Extent("outputs", (y.type.shape[3],), _PLANES, _outputs, copied)
        return
    producer = graph.producers().get(node.inputs[1])
    if producer is None or role_of(producer) is not Role.VIEW:
        yield Extent("columns", (y.type.shape[3],), _PLANES, _columns, copied)


def _apart(value: Value, channels: int) -> int:
    """Bytes of a channel of a map; 0 where the channels of a map lie together already."""
    positions = value.type.size // channels
    return 0 if positions == 1 else positions * value.type.dtype.numpy.itemsize


def _outputs(work: Work, first: int, count: int) -> Work:
    return replace(work, out_c=count)


def _columns(work: Work, first: int, count: int) -> Work:
    return replace(work, in_c=count, segments=(count,), step=work.in_c)


def _weight(node: Node) -> Iterator[Extent]:
    """Output channels of a weight gradient; of a depthwise one those of its input as well.

    The fractional bits of four of them fill whole bytes.
    """
    x, g = node.inputs[:2]
    channels = g.type.shape[3]
    if is_depthwise(node):
        if channels == x.type.shape[3]:
            copied = _apart(g, channels) + _apart(x, channels)
            yield Extent("outputs", (channels,), _PLANES, _groups, copied)
    elif node.attrs["groups"] == 1:
        yield Extent("outputs", (channels,), _PLANES, _outputs, _apart(g, channels))


def _groups(work: Work, first: int, count: int) -> Work:
    return replace(work, in_c=count, out_c=count, groups=count, count=count)
