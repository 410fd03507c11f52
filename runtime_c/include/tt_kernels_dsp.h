/* Kernels for cores with DSP instructions (Cortex-M4, M7, M33), where the compiler defines
 * __ARM_FEATURE_SIMD32. Each has the type and the contract of its portable twin in tt_kernels.h,
 * with the same results to the bit. Those that require more say so: the compiler calls the twin
 * where it is not so. Written from the rows in tinytrain/kernel; tests/house/test_kernels.py says
 * how. */
#ifndef TT_KERNELS_DSP_H
#define TT_KERNELS_DSP_H

#include "tt_kernels.h"

/* Requires at most 16 windows over an element. */
extern __typeof__(tt_avg_pool2d_s8_grad) tt_avg_pool2d_s8_grad_dsp;

extern __typeof__(tt_conv2d_s8) tt_conv2d_s8_dsp;
extern __typeof__(tt_conv2d_s8_s32) tt_conv2d_s8_s32_dsp;
extern __typeof__(tt_conv2d_s8_grad_input) tt_conv2d_s8_grad_input_dsp;

/* Requires at most 32768 bytes of workspace. */
extern __typeof__(tt_conv2d_s8_grad_weight) tt_conv2d_s8_grad_weight_dsp;

extern __typeof__(tt_add_s8) tt_add_s8_dsp;
extern __typeof__(tt_clamp_mask_s8) tt_clamp_mask_s8_dsp;
extern __typeof__(tt_grad_clamp_s8) tt_grad_clamp_s8_dsp;
extern __typeof__(tt_grad_clamp_mask_s8) tt_grad_clamp_mask_s8_dsp;
extern __typeof__(tt_grad_add_s8) tt_grad_add_s8_dsp;
extern __typeof__(tt_bias_s8_grad) tt_bias_s8_grad_dsp;

/* Requires out_c == in_c, no dilation along an axis with several taps, and a stride_w of 1 or 2. */
extern __typeof__(tt_depthwise_conv2d_s8) tt_depthwise_conv2d_s8_dsp;

/* Requires what the forward kernel does, and a stride_h of 1 or 2. */
extern __typeof__(tt_depthwise_conv2d_s8_grad_input) tt_depthwise_conv2d_s8_grad_input_dsp;

/* Requires what the forward kernel does. */
extern __typeof__(tt_depthwise_conv2d_s8_grad_weight) tt_depthwise_conv2d_s8_grad_weight_dsp;

#endif
