"""All derivatives, as a table: from the gradient of a node's output to those of its inputs.

A derivative gets a builder of gradients, the forward node, the gradient of its output with the
clamp already applied, and the positions of the inputs whose gradient is wanted. It returns one
gradient for each wanted position. Gradients are those of the real values (docs/arithmetic.md
section 4), so moving data needs no rescaling, and an addition hands the same gradient to both
sides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tinytrain.autodiff.gradient_builder import GradientBuilder
from tinytrain.errors import InternalError
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.types import DType

Derivative = Callable[[GradientBuilder, Node, Value, frozenset[int]], dict[int, Value]]
DERIVATIVES: dict[str, Derivative] = {}


def derivative(op: str) -> Callable[[Derivative], Derivative]:
    """Decorator: enters the derivative of an operation into the table."""

    def enter(function: Derivative) -> Derivative:
        DERIVATIVES[op] = function
        return function

    return enter


def geometry(node: Node) -> dict[str, object]:
    """The attributes that a convolution shares with its gradients."""
    return {key: node.attrs[key] for key in ("strides", "padding", "dilation", "groups")}


@derivative("conv2d")
def _conv2d(
    build: GradientBuilder, node: Node, g: Value, wanted: frozenset[int]
) -> dict[int, Value]:
    x, w, _ = node.inputs
    found = {}
    if 2 in wanted:
        found[2] = build.sum("bias_grad", node, [g], (w.type.shape[0],))
    if 0 in wanted:
        found[0] = build.rounded(
            "conv2d_grad_input",
            node,
            [g, w],
            x.type.shape,
            **geometry(node),
            input_shape=x.type.shape,
        )
    if 1 in wanted:
        found[1] = build.sum(
            "conv2d_grad_weight",
            node,
            [x, g],
            w.type.shape,
            **geometry(node),
            kernel=w.type.shape[1:3],
        )
    return found


@derivative("rescale_bias")
def _rescale_bias(
    build: GradientBuilder, node: Node, g: Value, wanted: frozenset[int]
) -> dict[int, Value]:
    return {0: g}


@derivative("add")
def _add(build: GradientBuilder, node: Node, g: Value, wanted: frozenset[int]) -> dict[int, Value]:
    return dict.fromkeys(wanted, g)


@derivative("subtract")
def _subtract(
    build: GradientBuilder, node: Node, g: Value, wanted: frozenset[int]
) -> dict[int, Value]:
    found = {0: g} if 0 in wanted else {}
    if 1 in wanted:
        found[1] = build.moved("negate", node, [g], g.type.shape)
    return found


@derivative("multiply")
def _multiply(
    build: GradientBuilder, node: Node, g: Value, wanted: frozenset[int]
) -> dict[int, Value]:
    found = {}
    for position in sorted(wanted):
        mine, other = node.inputs[position], node.inputs[1 - position]
        if mine.type.size == g.type.size:
            found[position] = build.rounded("multiply_grad", node, [g, other], mine.type.shape)
        else:
            found[position] = build.rounded(
                "multiply_grad_broadcast",
                node,
                [g, other],
                mine.type.shape,
                input_shape=mine.type.shape,
            )
    return found


@derivative("concatenate")
def _concatenate(
    build: GradientBuilder, node: Node, g: Value, wanted: frozenset[int]
) -> dict[int, Value]:
    axis, start, found = node.attrs["axis"], 0, {}
    for position, value in enumerate(node.inputs):
        size = value.type.shape[axis]
        if position in wanted:
            found[position] = build.moved(
                "slice", node, [g], value.type.shape, axis=axis, start=start, size=size
            )
        start += size
    return found


@derivative("avg_pool2d")
def _avg_pool2d(
    build: GradientBuilder, node: Node, g: Value, wanted: frozenset[int]
) -> dict[int, Value]:
    shape = node.inputs[0].type.shape
    attrs = {key: node.attrs[key] for key in ("window", "strides", "padding", "count_include_pad")}
    return {0: build.rounded("avg_pool2d_grad", node, [g], shape, **attrs, input_shape=shape)}


@derivative("max_pool2d_winner")
def _max_pool2d(
    build: GradientBuilder, node: Node, g: Value, wanted: frozenset[int]
) -> dict[int, Value]:
    shape = node.inputs[0].type.shape
    attrs = {key: node.attrs[key] for key in ("window", "strides", "padding")}
    return {
        0: build.rounded(
            "max_pool2d_grad", node, [g, node.outputs[1]], shape, **attrs, input_shape=shape
        )
    }


@derivative("activation")
def _activation(
    build: GradientBuilder, node: Node, g: Value, wanted: frozenset[int]
) -> dict[int, Value]:
    x, output = node.inputs[0], node.output.type.quantization
    if output is None:
        raise InternalError(
            f"{node.name}: the derivative of an activation needs its quantized form"
        )
    attrs = {**node.attrs, "output_quantization": (output.scale[0], output.zero_point)}
    return {0: build.rounded("activation_grad", node, [g, x], x.type.shape, **attrs)}


@derivative("l2_normalize")
def _l2_normalize(
    build: GradientBuilder, node: Node, g: Value, wanted: frozenset[int]
) -> dict[int, Value]:
    x = node.inputs[0]
    return {0: build.rounded("l2_normalize_grad", node, [g, x], x.type.shape)}


@derivative("reshape")
def _reshape(
    build: GradientBuilder, node: Node, g: Value, wanted: frozenset[int]
) -> dict[int, Value]:
    return {0: build.moved("reshape", node, [g], node.inputs[0].type.shape)}


@derivative("transpose")
def _transpose(
    build: GradientBuilder, node: Node, g: Value, wanted: frozenset[int]
) -> dict[int, Value]:
    axes = node.attrs["axes"]
    inverse = tuple(axes.index(axis) for axis in range(len(axes)))
    return {0: build.moved("transpose", node, [g], node.inputs[0].type.shape, axes=inverse)}


@derivative("slice")
def _slice(
    build: GradientBuilder, node: Node, g: Value, wanted: frozenset[int]
) -> dict[int, Value]:
    shape, axis = node.inputs[0].type.shape, node.attrs["axis"]
    attrs = {key: node.attrs[key] for key in ("start", "step") if key in node.attrs}
    back = build.moved("pad", node, [g], shape, axis=axis, extent=shape[axis], fill=0, **attrs)
    return {0: back}


@derivative("pad")
def _pad(build: GradientBuilder, node: Node, g: Value, wanted: frozenset[int]) -> dict[int, Value]:
    shape, axis = node.inputs[0].type.shape, node.attrs["axis"]
    attrs = {key: node.attrs[key] for key in ("start", "step") if key in node.attrs}
    return {0: build.moved("slice", node, [g], shape, axis=axis, size=shape[axis], **attrs)}


@derivative("merge_channels")
def _merge_channels(
    build: GradientBuilder, node: Node, g: Value, wanted: frozenset[int]
) -> dict[int, Value]:
    """`g` is a dW not yet formed: its node is narrowed to the trained channels, none is cut."""
    dw = build.take_back(g)
    x, upstream = dw.inputs
    trained = node.inputs[0].type.shape
    channels = node.attrs["channels"]
    if node.attrs["axis"] == 0:
        # Depthwise: rows are output channels; `multiple` of them read one input channel.
        multiple = upstream.type.shape[-1] // x.type.shape[-1]
        upstream = _gather(build, dw, upstream, channels)
        channels = tuple(row // multiple for row in channels[::multiple])
        dw = dw.with_attrs(groups=len(channels))
    elif dw.attrs["groups"] > 1:
        per_group = x.type.shape[-1] // dw.attrs["groups"]
        channels = tuple(
            group * per_group + c for group in range(dw.attrs["groups"]) for c in channels
        )
    x = _gather(build, dw, x, channels)
    return {0: build.sum("conv2d_grad_weight", dw, [x, upstream], trained, **dw.attrs)}


def _gather(build: GradientBuilder, node: Node, value: Value, channels: tuple[int, ...]) -> Value:
    if len(channels) == value.type.shape[-1]:
        return value
    shape = (*value.type.shape[:-1], len(channels))
    type_ = replace(value.type, shape=shape)
    if value.type.dtype is DType.BIT:
        raise InternalError("a mask has no channels to gather")
    return build.emit("gather_channels", node, [value], type_, channels=channels)
