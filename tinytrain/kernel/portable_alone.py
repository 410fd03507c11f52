"""Portable kernels that have no twin for any instruction set: there is nothing to choose.

They take no workspace. Once one gets a twin, both need a cost.
"""

from __future__ import annotations

from tinytrain.kernel.kernel import Kernel

_GRADIENTS = ("s8", "s16", "f32")


def _alone(source: str, *contracts: str) -> tuple[Kernel, ...]:
    return tuple(Kernel(contract, "portable", source) for contract in contracts)


def _gradient(source: str, contract: str) -> tuple[Kernel, ...]:
    """A contract for each type of the gradients."""
    return _alone(source, *(contract.format(dtype) for dtype in _GRADIENTS))


ALONE = (
    *_alone("tt_multiply.c", "tt_multiply_s8"),
    *_gradient("tt_multiply.c", "tt_multiply_{}_grad"),
    *_gradient("tt_multiply.c", "tt_multiply_{}_grad_broadcast"),
    *_alone("tt_lookup.c", "tt_lookup_s8"),
    *_gradient("tt_lookup.c", "tt_lookup_{}_grad"),
    *_gradient("tt_negate.c", "tt_negate_{}"),
    *_alone("tt_l2_normalize.c", "tt_l2_normalize_s8"),
    *_gradient("tt_l2_normalize.c", "tt_l2_normalize_{}_grad"),
    *_alone("tt_copy.c", "tt_copy_rows", "tt_copy_blocks", "tt_pad", "tt_gather_channels"),
    *_alone("tt_copy.c", "tt_transpose", "tt_transpose_nd"),
    *_alone("tt_convert.c", "tt_quantize_f32_s8", "tt_quantize_input_f32_s8"),
    *_alone("tt_convert.c", "tt_dequantize_s8_f32", "tt_dequantize_s32_f32"),
    *_gradient("tt_quantize_gradient.c", "tt_quantize_gradient_{}"),
    *_alone("tt_round_sums.c", "tt_round_sums_s8", "tt_round_sums_s16"),
    *_alone("tt_rescale_bias.c", "tt_rescale_bias"),
    *_alone("tt_loss.c", "tt_exp_f32", "tt_log_f32", "tt_argmax_f32", "tt_all_finite_f32"),
    *_alone("tt_loss.c", "tt_softmax_cross_entropy_f32", "tt_smoothed_cross_entropy_f32"),
    *_alone("tt_loss.c", "tt_mean_squared_error_f32"),
    *_alone("tt_loss_pixels.c", "tt_pixel_cross_entropy_f32", "tt_all_below_u8"),
    *_alone("tt_loss_pixels.c", "tt_weighted_pixel_cross_entropy_f32"),
    *_alone("tt_loss_huber.c", "tt_huber_f32"),
    *_alone("tt_loss_binary.c", "tt_binary_cross_entropy_f32", "tt_all_between_f32"),
    *_alone("tt_loss_binary.c", "tt_weighted_binary_cross_entropy_f32"),
    *_alone("tt_class_weights.c", "tt_weighted_loss_f32", "tt_balanced_weight", "tt_count_class"),
    *_alone("tt_apply.c", "tt_apply_s8", "tt_apply_s32"),
    *_alone("tt_adam.c", "tt_adam_s8", "tt_adam_s32"),
    *_alone("tt_apply.c", "tt_squares_s8", "tt_squares_s32", "tt_clip_factor"),
    *_alone("tt_health.c", "tt_count_ends_s8", "tt_count_ends_s32"),
)
"""One row for each."""
