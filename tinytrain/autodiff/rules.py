"""All derivatives, as a table: from the gradient of a node's output to those of its inputs.

A rule gets the sweep (which emits nodes), the forward node, the gradient of its output with the
clamp already applied, and the positions of the inputs whose gradient is wanted. It returns one
gradient for each wanted position. Gradients are those of the real values (docs/arithmetic.md
section 4), so moving data needs no rescaling, and an addition hands the same gradient to both
sides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from tinytrain.errors import InternalError
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.types import DType

if TYPE_CHECKING:
    from tinytrain.autodiff.backward import Sweep

Rule = Callable[["Sweep", Node, Value, frozenset[int]], dict[int, Value]]
RULES: dict[str, Rule] = {}


def rule(op: str) -> Callable[[Rule], Rule]:
    """Decorator: enters the derivative of an operation into the table."""

    def enter(function: Rule) -> Rule:
        RULES[op] = function
        return function

    return enter


def geometry(node: Node) -> dict[str, object]:
    """The attributes that a convolution shares with its gradients."""
    return {key: node.attrs[key] for key in ("strides", "padding", "dilation", "groups")}


@rule("conv2d")
def _conv2d(sweep: Sweep, node: Node, g: Value, wanted: frozenset[int]) -> dict[int, Value]:
    x, w, _ = node.inputs
    found = {}
    if 2 in wanted:
        found[2] = sweep.sum("bias_grad", node, [g], (w.type.shape[0],))
    if 0 in wanted:
        found[0] = sweep.rounded(
            "conv2d_grad_input",
            node,
            [g, w],
            x.type.shape,
            **geometry(node),
            input_shape=x.type.shape,
        )
    if 1 in wanted:
        found[1] = sweep.sum(
            "conv2d_grad_weight",
            node,
            [x, g],
            w.type.shape,
            **geometry(node),
            kernel=w.type.shape[1:3],
        )
    return found


@rule("add")
def _add(sweep: Sweep, node: Node, g: Value, wanted: frozenset[int]) -> dict[int, Value]:
    return dict.fromkeys(wanted, g)


@rule("multiply")
def _multiply(sweep: Sweep, node: Node, g: Value, wanted: frozenset[int]) -> dict[int, Value]:
    found = {}
    for position in sorted(wanted):
        mine, other = node.inputs[position], node.inputs[1 - position]
        if mine.type.size == g.type.size:
            found[position] = sweep.rounded("multiply_grad", node, [g, other], mine.type.shape)
        else:
            found[position] = sweep.rounded(
                "multiply_grad_broadcast",
                node,
                [g, other],
                mine.type.shape,
                input_shape=mine.type.shape,
            )
    return found


@rule("concatenate")
def _concatenate(sweep: Sweep, node: Node, g: Value, wanted: frozenset[int]) -> dict[int, Value]:
    axis, start, found = node.attrs["axis"], 0, {}
    for position, value in enumerate(node.inputs):
        size = value.type.shape[axis]
        if position in wanted:
            found[position] = sweep.moved(
                "slice", node, [g], value.type.shape, axis=axis, start=start, size=size
            )
        start += size
    return found


@rule("avg_pool2d")
def _avg_pool2d(sweep: Sweep, node: Node, g: Value, wanted: frozenset[int]) -> dict[int, Value]:
    shape = node.inputs[0].type.shape
    attrs = {key: node.attrs[key] for key in ("window", "strides", "padding", "count_include_pad")}
    return {0: sweep.rounded("avg_pool2d_grad", node, [g], shape, **attrs, input_shape=shape)}


@rule("max_pool2d_winner")
def _max_pool2d(sweep: Sweep, node: Node, g: Value, wanted: frozenset[int]) -> dict[int, Value]:
    shape = node.inputs[0].type.shape
    attrs = {key: node.attrs[key] for key in ("window", "strides", "padding")}
    return {
        0: sweep.rounded(
            "max_pool2d_grad", node, [g, node.outputs[1]], shape, **attrs, input_shape=shape
        )
    }


@rule("activation")
def _activation(sweep: Sweep, node: Node, g: Value, wanted: frozenset[int]) -> dict[int, Value]:
    x, output = node.inputs[0], node.output.type.quantization
    if output is None:
        raise InternalError(
            f"{node.name}: the derivative of an activation needs its quantized form"
        )
    attrs = {**node.attrs, "output_quantization": (output.scale[0], output.zero_point)}
    return {0: sweep.rounded("activation_grad", node, [g, x], x.type.shape, **attrs)}


@rule("reshape")
def _reshape(sweep: Sweep, node: Node, g: Value, wanted: frozenset[int]) -> dict[int, Value]:
    return {0: sweep.moved("reshape", node, [g], node.inputs[0].type.shape)}


@rule("transpose")
def _transpose(sweep: Sweep, node: Node, g: Value, wanted: frozenset[int]) -> dict[int, Value]:
    axes = node.attrs["axes"]
    inverse = tuple(axes.index(axis) for axis in range(len(axes)))
    return {0: sweep.moved("transpose", node, [g], node.inputs[0].type.shape, axes=inverse)}


@rule("merge_channels")
def _merge_channels(sweep: Sweep, node: Node, g: Value, wanted: frozenset[int]) -> dict[int, Value]:
    """`g` is a dW not yet formed: its node is narrowed to the trained channels, none is cut."""
    dw = sweep.take_back(g)
    x, upstream = dw.inputs
    trained = node.inputs[0].type.shape
    channels = node.attrs["channels"]
    if node.attrs["axis"] == 0:
        # Depthwise: rows are output channels; `multiple` of them read one input channel.
        multiple = upstream.type.shape[-1] // x.type.shape[-1]
        upstream = _gather(sweep, dw, upstream, channels)
        channels = tuple(row // multiple for row in channels[::multiple])
        dw = dw.with_attrs(groups=len(channels))
    elif dw.attrs["groups"] > 1:
        per_group = x.type.shape[-1] // dw.attrs["groups"]
        channels = tuple(
            group * per_group + c for group in range(dw.attrs["groups"]) for c in channels
        )
    x = _gather(sweep, dw, x, channels)
    return {0: sweep.sum("conv2d_grad_weight", dw, [x, upstream], trained, **dw.attrs)}


def _gather(sweep: Sweep, node: Node, value: Value, channels: tuple[int, ...]) -> Value:
    if len(channels) == value.type.shape[-1]:
        return value
    shape = (*value.type.shape[:-1], len(channels))
    type_ = replace(value.type, shape=shape)
    if value.type.dtype is DType.BIT:
        raise InternalError("a mask has no channels to gather")
    return sweep.emit("gather_channels", node, [value], type_, channels=channels)
