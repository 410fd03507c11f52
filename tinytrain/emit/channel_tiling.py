"""Runs of backward nodes that work slice by slice: a loop over slices of channels.

In the loop `c` is the first channel of the slice. What belongs to single channels is read from
there on; a slice of a gradient lies together, that of a saved map or mask does not.
"""

from __future__ import annotations

from collections.abc import Callable

from tinytrain.emit.c_text import call, wrapped
from tinytrain.emit.calls_forward import segments_of, window
from tinytrain.emit.calls_training import dtype_of, factors, factors_array, rescale, update
from tinytrain.emit.context import EmitContext
from tinytrain.errors import InternalError
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.text import format_type
from tinytrain.ir.types import DType
from tinytrain.kernel.work import is_depthwise
from tinytrain.plan.channel_tiling import Slices
from tinytrain.plan.channel_tiling_kernels import copied
from tinytrain.reference import lowering
from tinytrain.reference.lowering import zero_of

SliceCall = Callable[[EmitContext, Node, Slices], list[str]]


def slice_lines(context: EmitContext, run: Slices) -> list[str]:
    """The loop, without what stands behind it."""
    lines = []
    if run.total is not None:
        lines.append(call("memset", _sums(context, run), 0, run.sums))
    lines.append(f"for (size_t c = 0; c < {run.channels}; c += {run.size}) {{")
    for node in run.nodes(context.graph):
        context.layer = node.layer
        shown = " ".join(format_type(value.type) for value in node.outputs[:1])
        lines.append(f"    /* {node.name}: {node.op} -> slice of {shown} */")
        lines.append("    {")
        for line in _calls(context, node, run):
            inner = line.lstrip(" ")
            column = 8 + len(line) - len(inner)
            # Within the function's own four.
            lines.append(" " * column + wrapped(inner, column + 4))
        lines.append("    }")
    return [*lines, "}"]


def round_lines(context: EmitContext, run: Slices) -> list[str]:
    """What makes a gradient of sums."""
    if run.total is None:
        return []
    node = next(node for node in run.nodes(context.graph) if run.is_total(node))
    found = _input_factors(node)
    scaling = rescale(context, node, found.shift)
    places = _sums(context, run), context.place(run.total)
    return [call(f"tt_round_sums_{dtype_of(node)}", run.total.type.size, scaling, *places)]


def _calls(context: EmitContext, node: Node, run: Slices) -> list[str]:
    if node.op == "conv2d_grad_input":
        if is_depthwise(node):
            return _depthwise_input(context, node, run)
        if run.is_total(node):
            return _last_input(context, node, run)
        return _first_input(context, node, run)
    if node.op == "conv2d_grad_weight_sgd":
        return _weight(context, node, run)
    return _CALLS[node.op](context, node, run)


def _sums(context: EmitContext, run: Slices) -> str:
    return f"at_s32(state, {context.plan.scratch[run.sums_name or '']})"


def _input_factors(node: Node) -> lowering.Factors:
    g, w = node.inputs
    return lowering.conv_factors(w, node.attrs["groups"], g.type.dtype)


def _sliced(value: Value, run: Slices) -> tuple[int, ...]:
    """Shape of a slice."""
    return (*value.type.shape[:-1], run.size)


def _per_position(node: Node, run: Slices, line: str) -> list[str]:
    """A call for each position p: there the channels of a slice lie together in a whole map."""
    _, height, width, _ = node.output.type.shape
    return [f"for (size_t p = 0; p < {height * width}; p++) {{", f"    {line}", "}"]


def _in_slice(context: EmitContext, value: Value, run: Slices) -> str:
    return f"{context.place(value)} + p * {run.size}"


def _in_map(run: Slices) -> str:
    return f"p * {run.channels} + c"


def _grad_clamp(context: EmitContext, node: Node, run: Slices) -> list[str]:
    g, y = node.inputs
    is_mask = y.type.dtype is DType.BIT
    clamp = () if is_mask else node.attrs["clamp"]
    place = f"({_in_map(run)}) / 8" if is_mask else _in_map(run)
    operands = _in_slice(context, g, run), f"{context.place(y)} + {place}"
    out = _in_slice(context, node.output, run)
    line = call(context.kernel(node), run.size, *clamp, *operands, out)
    return _per_position(node, run, line)


def _activation_grad(context: EmitContext, node: Node, run: Slices) -> list[str]:
    g, x = node.inputs
    table = context.array(f"{node.layer}_slope", lowering.activation_grad_table(node))
    head = table, run.size, rescale(context, node, lowering.SLOPE_SHIFT)
    operands = _in_slice(context, g, run), f"{context.place(x)} + {_in_map(run)}"
    out = _in_slice(context, node.output, run)
    line = call(f"tt_lookup_{dtype_of(node)}_grad", *head, *operands, out)
    return _per_position(node, run, line)


def _bias_grad(context: EmitContext, node: Node, run: Slices) -> list[str]:
    g, b = node.inputs
    positions = g.type.size // run.channels
    rates = update(context, node, b, positions, g.type.dtype, ("c", "(uint32_t)c"))
    head = positions, run.size, rates, "&state->step"
    return [call(context.kernel(node), *head, context.place(g), f"{context.place(b)} + c")]


def _first_input(context: EmitContext, node: Node, run: Slices) -> list[str]:
    """The input gradient that gives the first wide one: some columns of the weights."""
    g, w = node.inputs
    found = _input_factors(node)
    geometry = window(context, node, _sliced(node.output, run), g.type.shape, w.type.shape[1:3])
    part = f"{{{context.place(w)} + c, NULL, {run.size}, {run.channels}}}"
    scaling = factors(context, node, found), rescale(context, node, found.shift)
    places = *context.places(g, node.output), context.scratch(node), context.room(node)
    return [
        call(
            context.kernel(node), geometry, f"(const tt_segment[]){{{part}}}", 1, *scaling, *places
        )
    ]


def _depthwise_input(context: EmitContext, node: Node, run: Slices) -> list[str]:
    g, w = node.inputs
    found = _input_factors(node)
    geometry = window(context, node, _sliced(node.output, run), _sliced(g, run), w.type.shape[1:3])
    taps = w.type.size // run.channels
    weights = f"{context.place(w)} + c * {taps}"
    scaling = _moved_factors(context, node, found), rescale(context, node, found.shift)
    places = *context.places(g, node.output), context.scratch(node)
    return [call(context.kernel(node), geometry, weights, "NULL", run.size, *scaling, *places)]


def _last_input(context: EmitContext, node: Node, run: Slices) -> list[str]:
    """The input gradient that adds to sums: some rows of the weights."""
    g, w = node.inputs
    found = _input_factors(node)
    geometry = window(context, node, node.output.type.shape, _sliced(g, run), w.type.shape[1:3])
    taps = w.type.shape[1] * w.type.shape[2]
    parts = [
        (f"{weights} + c * {taps * columns}", channels, columns)
        for weights, channels, columns in segments_of(context, w)
    ]
    body = ", ".join(f"{{{', '.join(map(str, part))}, 0}}" for part in parts)
    scaling = (
        _moved_factors(context, node, found),
        rescale(context, node, found.shift, _sums(context, run)),
    )
    places = *context.places(g, node.output), context.scratch(node), context.room(node)
    head = geometry, f"(const tt_segment[]){{{body}}}", len(parts)
    return [call(context.kernel(node), *head, *scaling, *places)]


def _moved_factors(context: EmitContext, node: Node, found: lowering.Factors) -> str:
    return f"&(const tt_factors){{{factors_array(context, node, found)} + c, NULL}}"


def _weight(context: EmitContext, node: Node, run: Slices) -> list[str]:
    x, g, w = node.inputs[:3]
    bits = node.attrs["fraction_bits"]
    row = w.type.size // run.channels
    positions = g.type.shape[1] * g.type.shape[2]
    first = f"c * {row}"
    rates = update(context, node, w, positions, g.type.dtype, ("c", f"(uint32_t)({first})"))
    low = f"{context.place(node.inputs[3])} + {first} * {bits} / 8" if bits else "NULL"
    target = f"&(tt_trained){{{context.place(w)} + {first}, {low}, {bits}}}"
    lines, source, scratch = [], context.place(x), context.scratch(node)
    shape = x.type.shape
    if is_depthwise(node):
        if node.name not in context.plan.scratch:
            raise InternalError(f"{node.name} has no place for a slice of {x}")
        start = context.plan.scratch[node.name]
        shape, copy = _sliced(x, run), f"at_s8(state, {start})"
        rows = x.type.size // run.channels
        lines.append(
            call("tt_copy_rows", rows, run.size, f"{source} + c", run.channels, copy, run.size)
        )
        scratch = f"at_u8(state, {start + copied(node, run)})"
        source = copy
    geometry = window(context, node, shape, _sliced(g, run), node.attrs["kernel"])
    head = geometry, rates, "&state->step", zero_of(x), source, context.place(g)
    return [*lines, call(context.kernel(node), *head, target, scratch)]


_CALLS: dict[str, SliceCall] = {
    "grad_clamp": _grad_clamp,
    "activation_grad": _activation_grad,
    "bias_grad_sgd": _bias_grad,
}
