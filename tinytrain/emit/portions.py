"""The C of a step in portions: a case for each node, which runs one part of it.

In a case `part` is the number of the part, and `slice` the positions, rows, elements or channels
that it is: `slice.first` and `slice.count`.
"""

from __future__ import annotations

from collections.abc import Callable

from tinytrain.emit.calls import CALLS, factors, requantization, rescale, window
from tinytrain.emit.calls_convolution import segments_of, weight_parts
from tinytrain.emit.calls_update import step_of, update
from tinytrain.emit.context import EmitContext, PartPlaces
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.types import DType
from tinytrain.kernel.work import is_depthwise
from tinytrain.plan.cuts import NodeCut
from tinytrain.reference import convolution
from tinytrain.reference.lowering import zero_of

PartCall = Callable[[EmitContext, Node, NodeCut], list[str]]


def part_lines(context: EmitContext, node: Node, cut: NodeCut) -> list[str]:
    """The lines of a case; a block, as they declare the slice."""
    lines = _CALLS[cut.kind](context, node, cut)
    if cut.extents[1:]:
        return lines
    return [_slice(context, cut), *lines]


def _slice(context: EmitContext, cut: NodeCut) -> str:
    found = context.call("tt_slice_of", "part", cut.size, cut.extents[0])
    return f"const tt_slice slice = {found}"


def _placed(context: EmitContext, node: Node, places: PartPlaces) -> list[str]:
    """The node's own call, with other places and another window."""
    context.stripe = places
    lines = CALLS[node.op](context, node)
    context.stripe = None
    return lines


def _elements(context: EmitContext, node: Node, cut: NodeCut) -> list[str]:
    starts = {
        value: "slice.first / 8" if value.type.dtype is DType.BIT else "slice.first"
        for value in (*node.inputs, *node.outputs)
    }
    return _placed(context, node, PartPlaces(starts))


def _positions(context: EmitContext, node: Node, cut: NodeCut) -> list[str]:
    x, y = node.inputs[0], node.output
    starts = {value: f"slice.first * {value.type.shape[3]}U" for value in (x, y)}
    places = PartPlaces(starts)
    lines = _placed(context, node, places)
    geometry = context.call("tt_part_positions", places.window, "slice")
    return [f"const tt_window window = {geometry}", *lines]


def _rows(context: EmitContext, node: Node, cut: NodeCut) -> list[str]:
    return _in_rows(context, node, "tt_part_rows")


def _grad_rows(context: EmitContext, node: Node, cut: NodeCut) -> list[str]:
    return _in_rows(context, node, "tt_part_grad_rows")


def _in_rows(context: EmitContext, node: Node, geometry: str) -> list[str]:
    x = node.inputs[0]
    starts = {y: f"slice.first * {_row(y)}U" for y in node.outputs}
    places = PartPlaces({**starts, x: f"skip * {_row(x)}U"})
    lines = _placed(context, node, places)
    found = context.call(geometry, places.window, "slice", "&skip")
    return ["size_t skip;", f"const tt_window window = {found}", *lines]


def _row(value: Value) -> int:
    return value.type.size // value.type.shape[1]


def _window(context: EmitContext, node: Node, shapes: tuple[tuple[int, ...], ...]) -> str:
    """The address of the whole window of a node."""
    kernel = node.attrs.get("kernel", node.inputs[1].type.shape[1:3])
    return window(context, node, shapes[0], shapes[1], kernel)


def _own_window(address: str, *members: str) -> list[str]:
    """A copy of a window with the members that count channels set to those of the slice."""
    lines = [f"tt_window window = {address.removeprefix('&')};"]
    return [*lines, *(f"window.{member} = (uint16_t)slice.count;" for member in members)]


def _apart(
    context: EmitContext, value: Value, offset: int | None, *, written: bool = False
) -> tuple[str, list[str]]:
    """Where the channels of a slice lie, and the lines that bring them there.

    Args:
        offset: in the arena, of a place where they lie apart from the others; None where they are
            taken from their map.
        written: whether the node writes them; the lines then bring them to their map.
    """
    in_map = f"{context.place(value)} + slice.first"
    if offset is None:
        return in_map, []
    element, channels = value.type.dtype.numpy.itemsize, value.type.shape[-1]
    place = f"at_{value.type.dtype.value}(state, {offset})"
    count = "slice.count" if element == 1 else f"slice.count * {element}"
    ends = (in_map, channels * element), (place, count)
    source, target = reversed(ends) if written else ends
    rows = value.type.size // channels
    return place, [context.call("tt_copy_rows", rows, count, *source, *target)]


def _conv_outputs(context: EmitContext, node: Node, cut: NodeCut) -> list[str]:
    if node.op == "conv2d_grad_weight_sgd":
        return _weight(context, node, cut)
    x, w, b = node.inputs
    y = node.output
    lines = _own_window(_window(context, node, (x.type.shape, y.type.shape)), "out_c")
    if y.type.dtype is DType.S32:
        requant = context.struct("tt_requant", f"{node.name}_requant", {"input_zero": zero_of(x)})
    else:
        tables = convolution.conv_requant(x, w, y)
        whole = requantization(context, node, tables, x, y).removeprefix("&")
        lines += [f"tt_requant requant = {whole};"]
        lines += [f"requant.{member} += slice.first;" for member in ("multiplier", "shift")]
        requant = "&requant"
    parts = _segments(context, w)
    place, back = _apart(context, y, cut.copy, written=True)
    places = f"{context.place(b)} + slice.first", context.place(x), place, context.workspace(node)
    head = "&window", requant, *parts, *places, context.workspace_bytes(node)
    return [*lines, context.kernel_call(node, *head), *back]


def _segments(context: EmitContext, w: Value) -> tuple[str, int]:
    """The segments of the rows of weights from the first of the slice on."""
    taps = w.type.shape[1] * w.type.shape[2]
    parts = segments_of(context, w)
    body = ", ".join(
        f"{{{weights} + slice.first * {taps * count}, {channels}, {count}, 0}}"
        for weights, channels, count in parts
    )
    return f"(const tt_segment[]){{{body}}}", len(parts)


def _columns(context: EmitContext, node: Node, cut: NodeCut) -> list[str]:
    g, w = node.inputs
    y = node.output
    found = convolution.conv_factors(w, node.attrs["groups"], g.type.dtype)
    lines = _own_window(_window(context, node, (y.type.shape, g.type.shape)), "in_c")
    count = "(uint16_t)slice.count"
    part = f"{{{context.place(w)} + slice.first, NULL, {count}, {y.type.shape[3]}}}"
    scaling = factors(context, node, found), rescale(context, node, found.shift)
    place, back = _apart(context, y, cut.copy, written=True)
    places = context.place(g), place, context.workspace(node), context.workspace_bytes(node)
    head = "&window", f"(const tt_segment[]){{{part}}}", 1, *scaling, *places
    return [*lines, context.kernel_call(node, *head), *back]


def _weight(context: EmitContext, node: Node, cut: NodeCut) -> list[str]:
    x, g, w = node.inputs[:3]
    bits, channels = node.attrs["fraction_bits"], g.type.shape[3]
    members = ("in_c", "out_c", "groups") if is_depthwise(node) else ("out_c",)
    lines = _own_window(_window(context, node, (x.type.shape, g.type.shape)), *members)
    gradient, copies = _apart(context, g, cut.copy)
    lines += copies
    source = context.place(x)
    if is_depthwise(node):
        # Behind the gradient, whose elements may be wider.
        after = None if cut.copy is None else cut.copy + g.type.nbytes // channels * cut.size
        source, copies = _apart(context, x, after)
        lines += copies
    positions, row = g.type.shape[1] * g.type.shape[2], w.type.size // channels
    first = f"slice.first * {row}"
    rates = update(
        context, node, w, positions, g.type.dtype, ("slice.first", f"(uint32_t)({first})")
    )
    low = f"{context.place(node.inputs[3])} + {first} * {bits} / 8" if bits else "NULL"
    target = f"&(tt_trained){{{context.place(w)} + {first}, {low}, {bits}}}"
    head = "&window", rates, step_of(node), zero_of(x), source, gradient
    return [*lines, context.kernel_call(node, *head, target, context.workspace(node))]


def _bias(context: EmitContext, node: Node, cut: NodeCut) -> list[str]:
    g, b = node.inputs
    positions = g.type.size // g.type.shape[-1]
    part = "slice.first", "(uint32_t)slice.first"
    rates = update(context, node, b, positions, g.type.dtype, part)
    place, lines = _apart(context, g, cut.copy)
    head = positions, "slice.count", rates, step_of(node), place
    return [*lines, context.kernel_call(node, *head, f"{context.place(b)} + slice.first")]


def _depthwise(context: EmitContext, node: Node, cut: NodeCut) -> list[str]:
    """Channels of a list: that of the weights' part, or one of all channels."""
    w = node.inputs[1]
    y = node.output
    area = w.type.shape[1] * w.type.shape[2]
    if node.op == "conv2d":
        x, _, b = node.inputs
        geometry = _window(context, node, (x.type.shape, y.type.shape))
        requant = requantization(context, node, convolution.conv_requant(x, w, y), x, y)
        before: tuple[str, ...] = (geometry, requant)
        after: tuple[str, ...] = (*context.places(b, x, y), context.workspace(node))
    else:
        g = node.inputs[0]
        found = convolution.conv_factors(w, node.attrs["groups"], g.type.dtype)
        before = (_window(context, node, (y.type.shape, g.type.shape)),)
        scaling = factors(context, node, found), rescale(context, node, found.shift)
        after = (*scaling, *context.places(g, y), context.workspace(node))
    lines: list[tuple[int, int, str]] = []
    passed = 0
    for extent, (weights, channels, _) in zip(cut.extents, weight_parts(context, w), strict=True):
        listed = context.all_channels() if channels == "NULL" else channels
        part = f"{weights} + slice.first * {area}", f"{listed} + slice.first", "slice.count"
        lines.append((passed, extent, context.kernel_call(node, *before, *part, *after)))
        passed += -(-extent // cut.size)
    if len(lines) == 1:
        return [lines[0][2]]
    (_, low, first), (passed, high, second) = lines
    return [
        f"const int behind = part >= {passed};",
        "const tt_slice slice = "
        + context.call(
            "tt_slice_of",
            f"behind ? part - {passed} : part",
            cut.size,
            f"behind ? {high} : {low}",
        ),
        "if (behind) {",
        f"    {second}",
        "} else {",
        f"    {first}",
        "}",
    ]


_CALLS: dict[str, PartCall] = {
    "elements": _elements,
    "positions": _positions,
    "rows": _rows,
    "grad_rows": _grad_rows,
    "channels": _depthwise,
    "biases": _bias,
    "outputs": _conv_outputs,
    "columns": _columns,
}
"""By the kind of a cut; a table of the kinds in which a node itself can be cut."""
