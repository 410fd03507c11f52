/* Kernels for cores with MVE (Helium, Armv8.1-M: Cortex-M55, M85), where the compiler defines
 * __ARM_FEATURE_MVE. Each has the type and the contract of its portable twin in tt_kernels.h, with
 * the same results to the bit. Those that require more say so: the compiler calls the twin where
 * it is not so. Written from the rows in tinytrain/kernel; tests/house/test_kernels.py says how. */
#ifndef TT_KERNELS_MVE_H
#define TT_KERNELS_MVE_H

#include "tt_kernels.h"

/* Requires at most 16 windows over an element. */
extern __typeof__(tt_avg_pool2d_s8_grad) tt_avg_pool2d_s8_grad_mve;

extern __typeof__(tt_conv2d_s8) tt_conv2d_s8_mve;
extern __typeof__(tt_conv2d_s8_s32) tt_conv2d_s8_s32_mve;

/* Requires 7 * kernel_h * kernel_w * step <= 65535 for the step of every segment, 4 * in_c <=
 * 65535, and at most 32768 bytes of workspace. */
extern __typeof__(tt_conv2d_s8_grad_input) tt_conv2d_s8_grad_input_mve;

/* Requires 7 * positions <= 65535, positions being out_h * out_w rounded up to 16, and at most
 * 32768 bytes of workspace. */
extern __typeof__(tt_conv2d_s8_grad_weight) tt_conv2d_s8_grad_weight_mve;

extern __typeof__(tt_add_s8) tt_add_s8_mve;
extern __typeof__(tt_clamp_mask_s8) tt_clamp_mask_s8_mve;
extern __typeof__(tt_grad_clamp_s8) tt_grad_clamp_s8_mve;
extern __typeof__(tt_grad_clamp_mask_s8) tt_grad_clamp_mask_s8_mve;
extern __typeof__(tt_grad_add_s8) tt_grad_add_s8_mve;
extern __typeof__(tt_bias_s8_grad) tt_bias_s8_grad_mve;

/* Requires a kernel of at most 8x8, or of 4 columns where they are dilated, a stride_w of 1 or 2,
 * and (out_w + 3) * out_c <= 65535. */
extern __typeof__(tt_depthwise_conv2d_s8) tt_depthwise_conv2d_s8_mve;

/* Requires out_c == in_c, 7 * kernel_h * kernel_w <= 65535, and at most 32768 bytes of
 * workspace. */
extern __typeof__(tt_depthwise_conv2d_s8_grad_input) tt_depthwise_conv2d_s8_grad_input_mve;

/* Requires 7 * kernel_h * kernel_w * positions <= 65535, positions being out_h * out_w rounded up
 * to 16, and at most 32768 bytes of workspace. */
extern __typeof__(tt_depthwise_conv2d_s8_grad_weight) tt_depthwise_conv2d_s8_grad_weight_mve;

#endif
