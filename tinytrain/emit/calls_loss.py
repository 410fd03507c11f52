"""From integers to the loss, as calls of kernels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinytrain.emit.c_text import float_literal
from tinytrain.emit.calls import calls
from tinytrain.emit.context import EmitContext
from tinytrain.ir.graph import Node
from tinytrain.ir.types import DType
from tinytrain.reference.class_weights import BALANCED
from tinytrain.reference.lowering import quantization, scale_of, zero_of

LossCall = Callable[[EmitContext, Node], str]
LOSS_CALLS: dict[str, LossCall] = {}
"""By operation: what gives the loss and writes its gradient."""


def loss_calls(op: str) -> Callable[[LossCall], LossCall]:
    """Decorator: enters a loss into the table."""

    def enter(function: LossCall) -> LossCall:
        LOSS_CALLS[op] = function
        return function

    return enter


@loss_calls("mean_squared_error")
@loss_calls("huber")
def _of_values(context: EmitContext, loss: Node) -> str:
    size, output, gradient = _operands(context, loss)
    return context.call(f"tt_{loss.op}_f32", size, output, "target", gradient)


@loss_calls("pixel_cross_entropy")
def _pixel_cross_entropy(context: EmitContext, loss: Node) -> str:
    size, logits, gradient = _operands(context, loss)
    pixels = loss.inputs[1].type.size
    operands = pixels, size // pixels, logits, "labels"
    if "class_weights" in loss.attrs:
        arguments = *operands, _weights(context, loss), gradient
        return context.call("tt_weighted_pixel_cross_entropy_f32", *arguments)
    return context.call("tt_pixel_cross_entropy_f32", *operands, gradient)


@loss_calls("binary_cross_entropy")
def _binary_cross_entropy(context: EmitContext, loss: Node) -> str:
    size, logits, gradient = _operands(context, loss)
    context.function("tt_exp_f32")  # the kernel calls it, and a model that only enrols does not
    if loss.inputs[1].type.dtype is DType.S32:
        operands = size, logits, "(const float[]){(float)label}", gradient
        return _of_label(context, loss, context.call("tt_binary_cross_entropy_f32", *operands))
    if "class_weights" in loss.attrs:
        arguments = size, logits, "target", _weights(context, loss), gradient
        return context.call("tt_weighted_binary_cross_entropy_f32", *arguments)
    return context.call("tt_binary_cross_entropy_f32", size, logits, "target", gradient)


@loss_calls("softmax_cross_entropy")
def _softmax_cross_entropy(context: EmitContext, loss: Node) -> str:
    size, logits, gradient = _operands(context, loss)
    if "smoothing" in loss.attrs:
        smoothing = float_literal(loss.attrs["smoothing"])
        arguments = size, logits, "label", smoothing, gradient
        plain = context.call("tt_smoothed_cross_entropy_f32", *arguments)
    else:
        plain = context.call("tt_softmax_cross_entropy_f32", size, logits, "label", gradient)
    return _of_label(context, loss, plain)


def _of_label(context: EmitContext, loss: Node, plain: str) -> str:
    """The loss of a sample with a label, with the weight of its class."""
    if "class_weights" not in loss.attrs:
        return plain
    size, _, gradient = _operands(context, loss)
    if loss.attrs["class_weights"] == BALANCED:
        counted = max(2, size), "state->class_counts", "label"
        weight = context.call("tt_balanced_weight", *counted).removesuffix(";")
    else:
        weight = f"{_weights(context, loss)}[label]"
    return context.call("tt_weighted_loss_f32", size, weight, plain.removesuffix(";"), gradient)


def _weights(context: EmitContext, loss: Node) -> str:
    return context.array("class_weights", np.array(loss.attrs["class_weights"], np.float32))


def _operands(context: EmitContext, loss: Node) -> tuple[int, str, str]:
    """Size and place of what the loss reads, and the place of its gradient."""
    output = loss.inputs[0]
    return output.type.size, context.place(output), context.place(loss.outputs[1])


@calls("dequantize")
def _dequantize(context: EmitContext, node: Node) -> list[str]:
    x, places = node.inputs[0], context.places(node.inputs[0], node.output)
    if x.type.dtype is DType.S8:
        scale = float_literal(scale_of(x))
        return [context.kernel_call(node, x.type.size, zero_of(x), scale, *places)]
    scales = np.array(quantization(x).scale, np.float32)
    name = context.array(f"{node.name}_scale", scales)
    return [context.kernel_call(node, x.type.size, scales.size, name, *places)]
