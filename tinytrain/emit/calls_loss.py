"""From integers to the loss, as calls of kernels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinytrain.emit.c_text import float_literal
from tinytrain.emit.calls import calls
from tinytrain.emit.context import EmitContext
from tinytrain.ir.graph import Node
from tinytrain.ir.types import DType
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
    arguments = pixels, size // pixels, logits, "labels", gradient
    return context.call("tt_pixel_cross_entropy_f32", *arguments)


@loss_calls("binary_cross_entropy")
def _binary_cross_entropy(context: EmitContext, loss: Node) -> str:
    size, logits, gradient = _operands(context, loss)
    is_label = loss.inputs[1].type.dtype is DType.S32
    target = "(const float[]){(float)label}" if is_label else "target"
    return context.call("tt_binary_cross_entropy_f32", size, logits, target, gradient)


@loss_calls("softmax_cross_entropy")
def _softmax_cross_entropy(context: EmitContext, loss: Node) -> str:
    size, logits, gradient = _operands(context, loss)
    if "smoothing" in loss.attrs:
        smoothing = float_literal(loss.attrs["smoothing"])
        arguments = size, logits, "label", smoothing, gradient
        return context.call("tt_smoothed_cross_entropy_f32", *arguments)
    return context.call("tt_softmax_cross_entropy_f32", size, logits, "label", gradient)


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
