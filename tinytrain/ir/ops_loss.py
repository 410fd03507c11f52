"""Where real numbers are: quantize and dequantize, softmax, losses, and a loss's gradient."""

from __future__ import annotations

from tinytrain.ir.graph import Node
from tinytrain.ir.ops import GRADIENT, Role, Signature, Traits, expect, register, same_dtype
from tinytrain.ir.types import DType


@register("quantize", "f32 to s8 (or u8, s32) with the quantization of the output")
def _quantize(node: Node) -> Signature:
    expect(node.inputs[0].type.dtype is DType.F32, "quantize takes f32")
    expect(node.output.type.quantization is not None, "the output has no quantization")
    return ((node.inputs[0].type.shape, (DType.S8, DType.U8, DType.S32)),)


@register(
    "dequantize",
    "integers to f32 with the quantization of the input",
    traits=Traits(contract="tt_dequantize_{}_f32"),
)
def _dequantize(node: Node) -> Signature:
    expect(node.inputs[0].type.quantization is not None, "the input has no quantization")
    return ((node.inputs[0].type.shape, (DType.F32,)),)


@register("softmax", "softmax over the last axis; only ever the last node of a model")
def _softmax(node: Node) -> Signature:
    return ((node.inputs[0].type.shape, (same_dtype(node),)),)


_LOSS = Traits(role=Role.LOSS, in_place=(0,))


def _check_weights(node: Node, classes: int) -> None:
    """A positive weight for each class, or the word that they are counted on the device."""
    weights = node.attrs.get("class_weights", "balanced")
    if weights == "balanced":
        expect(
            "class_weights" not in node.attrs or node.inputs[1].type.dtype is DType.S32,
            "only the classes of samples are counted",
        )
        return
    expect(len(weights) == classes, f"{len(weights)} class weights, {classes} classes")
    expect(min(weights) > 0.0, "a class weight is above 0")


@register(
    "softmax_cross_entropy",
    "logits f32 [1,N], label s32 [1] to loss f32 [1], gradient f32; smoothing: of the label; "
    "class_weights: what a sample of each class counts for",
    traits=_LOSS,
    optional="smoothing class_weights",
)
def _softmax_cross_entropy(node: Node) -> Signature:
    logits, label = (value.type for value in node.inputs)
    expect(len(logits.shape) == 2 and logits.dtype is DType.F32, "logits are f32 [1,N]")
    expect(label.shape == (1,) and label.dtype is DType.S32, "a label is s32 [1]")
    expect(0.0 < node.attrs.get("smoothing", 0.5) < 1.0, "smoothing is above 0 and below 1")
    _check_weights(node, logits.size)
    return (((1,), (DType.F32,)), (logits.shape, (DType.F32,)))


@register(
    "pixel_cross_entropy",
    "logits f32 [1,P*N] of P pixels, labels u8 [P] to loss f32 [1], gradient f32; "
    "class_weights: of pixels",
    traits=_LOSS,
    optional="class_weights",
)
def _pixel_cross_entropy(node: Node) -> Signature:
    logits, labels = (value.type for value in node.inputs)
    expect(len(logits.shape) == 2 and logits.dtype is DType.F32, "logits are f32 [1,P*N]")
    expect(labels.dtype is DType.U8 and len(labels.shape) == 1, "labels are u8 [P]")
    expect(logits.size % labels.size == 0, "each pixel has as many logits")
    _check_weights(node, logits.size // labels.size)
    return (((1,), (DType.F32,)), (logits.shape, (DType.F32,)))


@register(
    "binary_cross_entropy",
    "logits f32 [1,N], target f32 of its shape, or a label s32 [1] of one logit, to loss f32 [1], "
    "gradient f32; class_weights: of 0 and of 1 for a label, of 1 for each target",
    traits=_LOSS,
    optional="class_weights",
)
def _binary_cross_entropy(node: Node) -> Signature:
    logits, target = (value.type for value in node.inputs)
    if target.dtype is DType.S32:
        expect(target.shape == (1,) and logits.size == 1, "a label is s32 [1], of one logit")
        _check_weights(node, 2)
    else:
        expect(logits.shape == target.shape, f"output {logits.shape}, target {target.shape}")
        _check_weights(node, logits.size)
    return (((1,), (DType.F32,)), (logits.shape, (DType.F32,)))


@register(
    "huber",
    "output f32, target f32 of its shape to loss f32 [1], gradient f32; quadratic up to 1",
    traits=_LOSS,
)
@register(
    "mean_squared_error",
    "output f32, target f32 of its shape to loss f32 [1], gradient f32",
    traits=_LOSS,
)
def _regression(node: Node) -> Signature:
    output, target = (value.type for value in node.inputs)
    expect(output.shape == target.shape, f"output {output.shape}, target {target.shape}")
    return (((1,), (DType.F32,)), (output.shape, (DType.F32,)))


@register(
    "quantize_gradient",
    "the loss gradient divided by 2^n, as integers; sets n",
    traits=Traits(role=Role.GRADIENT, in_place=(0,)),
)
def _quantize_gradient(node: Node) -> Signature:
    expect(node.inputs[0].type.dtype is DType.F32, "the loss gradient is f32")
    return ((node.inputs[0].type.shape, GRADIENT),)
