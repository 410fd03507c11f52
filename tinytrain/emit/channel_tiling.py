"""The C of channel tilings: a loop over tiles of channels.

In the loop, `c` is the first channel of the tile; data of single channels is read from there on. A
tile of a gradient is contiguous, a tile of a saved map or mask is not.
"""

from __future__ import annotations

from collections.abc import Callable

from tinytrain.emit.c_text import call
from tinytrain.emit.calls import dtype_of, factors, factors_array, rescale, window
from tinytrain.emit.calls_convolution import segments_of
from tinytrain.emit.calls_elementwise import slope_rescale, slopes
from tinytrain.emit.calls_update import step_of, update
from tinytrain.emit.context import EmitContext
from tinytrain.errors import InternalError
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.text import format_type
from tinytrain.ir.types import DType
from tinytrain.kernel.work import is_depthwise
from tinytrain.plan.channel_tiling_kernels import copied_bytes
from tinytrain.plan.tiling import ChannelTiling
from tinytrain.reference import convolution, lowering
from tinytrain.reference.lowering import zero_of

TileCall = Callable[[EmitContext, Node, ChannelTiling], list[str]]


def tile_lines(context: EmitContext, tiling: ChannelTiling) -> list[str]:
    """The loop, or the tile of a part, without the deferred nodes and the rounding of the sums."""
    lines = []
    if tiling.total is not None:
        lines.append(call("memset", _sums(context, tiling), 0, tiling.sums))
    if context.portions is None:
        lines.append(f"for (size_t c = 0; c < {tiling.channels}; c += {tiling.size}) {{")
    else:
        lines = ["if (part == 0) {", f"    {lines[0]}", "}"] if lines else []
        lines += ["{", f"    const size_t c = part * {tiling.size};"]
    for node in tiling.nodes(context.graph):
        context.layer = node.layer
        shown = " ".join(format_type(value.type) for value in node.outputs[:1])
        lines.append(f"    /* {node.name}: {node.op} -> tile of {shown} */")
        lines.append("    {")
        lines += [f"        {line}" for line in _calls(context, node, tiling)]
        lines.append("    }")
    return [*lines, "}"]


def round_lines(context: EmitContext, tiling: ChannelTiling) -> list[str]:
    """Rounds the sums to the gradient."""
    if tiling.total is None:
        return []
    node = next(node for node in tiling.nodes(context.graph) if tiling.is_total(node))
    found = _input_factors(node)
    scaling = rescale(context, node, found.shift)
    places = _sums(context, tiling), context.place(tiling.total)
    return [
        context.call(f"tt_round_sums_{dtype_of(node)}", tiling.total.type.size, scaling, *places)
    ]


def _calls(context: EmitContext, node: Node, tiling: ChannelTiling) -> list[str]:
    if node.op == "conv2d_grad_input":
        if is_depthwise(node):
            return _depthwise_input(context, node, tiling)
        if tiling.is_total(node):
            return _last_input(context, node, tiling)
        return _first_input(context, node, tiling)
    if node.op == "conv2d_grad_weight_sgd":
        return _weight(context, node, tiling)
    return _CALLS[node.op](context, node, tiling)


def _sums(context: EmitContext, tiling: ChannelTiling) -> str:
    return f"at_s32(state, {context.plan.workspaces[tiling.sums_name or '']})"


def _input_factors(node: Node) -> lowering.Factors:
    g, w = node.inputs
    return convolution.conv_factors(w, node.attrs["groups"], g.type.dtype)


def _tile_shape(value: Value, tiling: ChannelTiling) -> tuple[int, ...]:
    """Shape of a tile."""
    return (*value.type.shape[:-1], tiling.size)


def _per_position(node: Node, tiling: ChannelTiling, line: str) -> list[str]:
    """A call per position p, where the channels of a tile are contiguous even in a whole map."""
    _, height, width, _ = node.output.type.shape
    return [f"for (size_t p = 0; p < {height * width}; p++) {{", f"    {line}", "}"]


def _in_tile(context: EmitContext, value: Value, tiling: ChannelTiling) -> str:
    return f"{context.place(value)} + p * {tiling.size}"


def _in_map(tiling: ChannelTiling) -> str:
    return f"p * {tiling.channels} + c"


def _grad_clamp(context: EmitContext, node: Node, tiling: ChannelTiling) -> list[str]:
    g, y = node.inputs
    is_mask = y.type.dtype is DType.BIT
    clamp = () if is_mask else node.attrs["clamp"]
    place = f"({_in_map(tiling)}) / 8" if is_mask else _in_map(tiling)
    operands = _in_tile(context, g, tiling), f"{context.place(y)} + {place}"
    out = _in_tile(context, node.output, tiling)
    line = context.kernel_call(node, tiling.size, *clamp, *operands, out)
    return _per_position(node, tiling, line)


def _activation_grad(context: EmitContext, node: Node, tiling: ChannelTiling) -> list[str]:
    g, x = node.inputs
    head = slopes(context, node), tiling.size, slope_rescale(context, node)
    operands = _in_tile(context, g, tiling), f"{context.place(x)} + {_in_map(tiling)}"
    out = _in_tile(context, node.output, tiling)
    line = context.kernel_call(node, *head, *operands, out)
    return _per_position(node, tiling, line)


def _bias_grad(context: EmitContext, node: Node, tiling: ChannelTiling) -> list[str]:
    g, b = node.inputs
    positions = g.type.size // tiling.channels
    rates = update(context, node, b, positions, g.type.dtype, ("c", "(uint32_t)c"))
    head = positions, tiling.size, rates, step_of(node)
    return [context.kernel_call(node, *head, context.place(g), f"{context.place(b)} + c")]


def _first_input(context: EmitContext, node: Node, tiling: ChannelTiling) -> list[str]:
    """The input gradient that writes the first wide one: some columns of the weights."""
    g, w = node.inputs
    found = _input_factors(node)
    geometry = window(
        context, node, _tile_shape(node.output, tiling), g.type.shape, w.type.shape[1:3]
    )
    part = f"{{{context.place(w)} + c, NULL, {tiling.size}, {tiling.channels}}}"
    scaling = factors(context, node, found), rescale(context, node, found.shift)
    places = *context.places(g, node.output), context.workspace(node), context.workspace_bytes(node)
    return [
        context.kernel_call(node, geometry, f"(const tt_segment[]){{{part}}}", 1, *scaling, *places)
    ]


def _depthwise_input(context: EmitContext, node: Node, tiling: ChannelTiling) -> list[str]:
    g, w = node.inputs
    found = _input_factors(node)
    geometry = window(
        context, node, _tile_shape(node.output, tiling), _tile_shape(g, tiling), w.type.shape[1:3]
    )
    taps = w.type.size // tiling.channels
    weights = f"{context.place(w)} + c * {taps}"
    scaling = _moved_factors(context, node, found), rescale(context, node, found.shift)
    places = *context.places(g, node.output), context.workspace(node)
    return [context.kernel_call(node, geometry, weights, "NULL", tiling.size, *scaling, *places)]


def _last_input(context: EmitContext, node: Node, tiling: ChannelTiling) -> list[str]:
    """The input gradient that adds to sums: some rows of the weights."""
    g, w = node.inputs
    found = _input_factors(node)
    geometry = window(
        context, node, node.output.type.shape, _tile_shape(g, tiling), w.type.shape[1:3]
    )
    taps = w.type.shape[1] * w.type.shape[2]
    parts = [
        (f"{weights} + c * {taps * columns}", channels, columns)
        for weights, channels, columns in segments_of(context, w)
    ]
    body = ", ".join(f"{{{', '.join(map(str, part))}, 0}}" for part in parts)
    scaling = (
        _moved_factors(context, node, found),
        rescale(context, node, found.shift, _sums(context, tiling)),
    )
    places = *context.places(g, node.output), context.workspace(node), context.workspace_bytes(node)
    head = geometry, f"(const tt_segment[]){{{body}}}", len(parts)
    return [context.kernel_call(node, *head, *scaling, *places)]


def _moved_factors(context: EmitContext, node: Node, found: lowering.Factors) -> str:
    return f"&(const tt_factors){{{factors_array(context, node, found)} + c, NULL}}"


def _weight(context: EmitContext, node: Node, tiling: ChannelTiling) -> list[str]:
    x, g, w = node.inputs[:3]
    bits = node.attrs["fraction_bits"]
    row = w.type.size // tiling.channels
    positions = g.type.shape[1] * g.type.shape[2]
    first = f"c * {row}"
    rates = update(context, node, w, positions, g.type.dtype, ("c", f"(uint32_t)({first})"))
    low = f"{context.place(node.inputs[3])} + {first} * {bits} / 8" if bits else "NULL"
    target = f"&(tt_trained){{{context.place(w)} + {first}, {low}, {bits}}}"
    lines, source, workspace = [], context.place(x), context.workspace(node)
    shape = x.type.shape
    if is_depthwise(node):
        if node.name not in context.plan.workspaces:
            raise InternalError(f"{node.name} has no place for a tile of {x}")
        start = context.plan.workspaces[node.name]
        shape, copy = _tile_shape(x, tiling), f"at_s8(state, {start})"
        rows = x.type.size // tiling.channels
        lines.append(
            context.call(
                "tt_copy_rows",
                rows,
                tiling.size,
                f"{source} + c",
                tiling.channels,
                copy,
                tiling.size,
            )
        )
        workspace = f"at_u8(state, {start + copied_bytes(node, tiling)})"
        source = copy
    geometry = window(context, node, shape, _tile_shape(g, tiling), node.attrs["kernel"])
    head = geometry, rates, step_of(node), zero_of(x), source, context.place(g)
    return [*lines, context.kernel_call(node, *head, target, workspace)]


_CALLS: dict[str, TileCall] = {
    "grad_clamp": _grad_clamp,
    "activation_grad": _activation_grad,
    "bias_grad_sgd": _bias_grad,
}
