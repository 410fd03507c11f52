"""Updates: `sgd_*` apply a gradient, `apply_*` and `adam_*` what waits in a velocity.

Each writes in place: its outputs take the storage of its last inputs, one for one. A velocity is a
tensor beside the trained one, of its shape: s8 with four fractional bits for weights, s32 for a
bias (docs/arithmetic.md section 6).
"""

from __future__ import annotations

from dataclasses import replace

from tinytrain.ir.graph import Node
from tinytrain.ir.ops import Role, Signature, Traits, expect, register
from tinytrain.ir.ops_convolution import BIAS_POSITIONS, GEOMETRY, POSITIONS, weights_shape
from tinytrain.ir.types import DType, TensorType

VELOCITY_BITS = 4
"""Fractional bits of a velocity of weights."""

VELOCITY_RESOLUTION = 8
"""A velocity counts in 2^-8 of the last bit of an s8 weight, or of a bias."""


_UPDATE = "fraction_bits resolution rule exponent input_scale"
"""`fraction_bits`: kept below the s8 of what is written. `resolution`: an update counts in units of
2^-resolution of the trained integer. `rule`: a `Rounding`. `exponent`: E of the gradient.
`input_scale`: s_x."""

_UPDATE_OPTIONAL = "layer_rate unscaled unit_rate"
"""`layer_rate`: times the learning rate, for this tensor. `unscaled`: True leaves QAS out.
`unit_rate`: True takes 1 in the place of the step's rate, for a velocity that holds gradients
alone."""


_SGD = Traits(role=Role.UPDATE, overwrites=True)


@register(
    "sgd_weight",
    "dW, w and its fractional bits (if it has any) to the new w and bits",
    _UPDATE,
    _SGD,
    optional=_UPDATE_OPTIONAL,
)
def _sgd_weight(node: Node) -> Signature:
    gradient, *trained = (value.type for value in node.inputs)
    expect(
        trained[0].shape == gradient.shape, f"weights {trained[0].shape}, gradient {gradient.shape}"
    )
    return _trained(trained, node.attrs["fraction_bits"])


def _trained(trained: list[TensorType], bits: int) -> Signature:
    expect(trained[0].dtype is DType.S8, "trained weights are s8")
    expect(bits in (0, 2, 4, 8), f"{bits} fractional bits")
    expect(len(trained) == (2 if bits else 1), "fractional bits without storage, or the reverse")
    if bits:
        expect(trained[1].nbytes == (trained[0].size * bits + 7) // 8, "fraction of another size")
    return tuple((type_.shape, (type_.dtype,)) for type_ in trained)


@register("sgd_bias", "dB and b to the new b", _UPDATE, _SGD, optional=_UPDATE_OPTIONAL)
def _sgd_bias(node: Node) -> Signature:
    gradient, b = (value.type for value in node.inputs)
    expect(
        b.shape == gradient.shape and b.dtype is DType.S32, "a bias is s32 of its gradient's shape"
    )
    return ((b.shape, (DType.S32,)),)


@register(
    "conv2d_grad_weight_sgd",
    "conv2d_grad_weight and sgd_weight in one",
    f"{GEOMETRY} kernel {_UPDATE}",
    replace(_SGD, saves=(0,), terms=POSITIONS),
    optional=_UPDATE_OPTIONAL,
)
def _conv2d_grad_weight_sgd(node: Node) -> Signature:
    trained = [value.type for value in node.inputs[2:]]
    expect(
        trained[0].shape == weights_shape(node),
        f"weights {trained[0].shape}, gradient {weights_shape(node)}",
    )
    return _trained(trained, node.attrs["fraction_bits"])


@register(
    "bias_grad_sgd",
    "bias_grad and sgd_bias in one",
    _UPDATE,
    replace(_SGD, by_channels=True, terms=BIAS_POSITIONS),
    optional=_UPDATE_OPTIONAL,
)
def _bias_grad_sgd(node: Node) -> Signature:
    g, b = (value.type for value in node.inputs)
    expect(b.shape == (g.shape[-1],), f"bias {b.shape}, gradient of {g.shape[-1]} channels")
    return ((b.shape, (DType.S32,)),)


@register(
    "clip_factor",
    "velocities (those of weights with their fractional bits) to a factor s32 [1], in units of "
    "2^-15, that shortens them together to a norm of limit * rate",
    "limit",
    Traits(role=Role.APPLY),
)
def _clip_factor(node: Node) -> Signature:
    expect(node.attrs["limit"] > 0, "the limit of a norm is positive")
    return (((1,), (DType.S32,)),)


_APPLY = "rule velocity clip momentum decay"
"""`velocity`, `clip`: whether there is a velocity, and a factor as first input. `momentum`: what is
left of a velocity. `decay`: what a weight loses, by the rate."""


@register(
    "apply_weight",
    "factor, w and its bits, velocity and its bits, each where it is there, to their new values",
    f"fraction_bits {_APPLY}",
    Traits(role=Role.APPLY, overwrites=True),
)
def _apply_weight(node: Node) -> Signature:
    bits = node.attrs["fraction_bits"]
    trained = [value.type for value in node.inputs[int(node.attrs["clip"]) :]]
    count = 2 if bits else 1
    signature = _trained(trained[:count], bits)
    if node.attrs["velocity"]:
        expect(trained[count].shape == trained[0].shape, "a velocity has its weights' shape")
        return signature + _trained(trained[count:], VELOCITY_BITS)
    expect(len(trained) == count, "a velocity where there should be none")
    return signature


@register(
    "apply_bias",
    "factor (where there is one), b and its velocity to new ones",
    _APPLY,
    Traits(role=Role.APPLY, overwrites=True),
)
def _apply_bias(node: Node) -> Signature:
    b, velocity = (value.type for value in node.inputs[-2:])
    expect(b.dtype is DType.S32 and b.shape == velocity.shape, "bias and velocity are s32 alike")
    return ((b.shape, (DType.S32,)), (velocity.shape, (DType.S32,)))


_ADAM = "rule momentum"
"""As those of `apply_*`. A second moment is the mean square of the velocity so far."""


@register(
    "adam_weight",
    "w and its bits (if it has any), velocity and its bits, second moment f32 [O] to their new "
    "values",
    f"fraction_bits decay {_ADAM}",
    Traits(role=Role.APPLY, overwrites=True),
    optional="layer_rate",
)
def _adam_weight(node: Node) -> Signature:
    bits = node.attrs["fraction_bits"]
    *trained, second = (value.type for value in node.inputs)
    count = 2 if bits else 1
    expect(trained[count].shape == trained[0].shape, "a velocity has its weights' shape")
    expect(
        second.shape == trained[0].shape[:1] and second.dtype is DType.F32,
        "a second moment is f32, one for each output channel",
    )
    signature = _trained(trained[:count], bits) + _trained(trained[count:], VELOCITY_BITS)
    return (*signature, (second.shape, (DType.F32,)))


@register(
    "adam_bias",
    "b, its velocity and its second moment f32 [1] to new ones",
    _ADAM,
    Traits(role=Role.APPLY, overwrites=True),
    optional="layer_rate",
)
def _adam_bias(node: Node) -> Signature:
    b, velocity, second = (value.type for value in node.inputs)
    expect(b.dtype is DType.S32 and b.shape == velocity.shape, "bias and velocity are s32 alike")
    expect(second.shape == (1,) and second.dtype is DType.F32, "a bias has one second moment, f32")
    return ((b.shape, (DType.S32,)), (velocity.shape, (DType.S32,)), ((1,), (DType.F32,)))


def is_adam(node: Node) -> bool:
    """Whether a node applies a velocity as Adam does."""
    return node.op in ("adam_weight", "adam_bias")
