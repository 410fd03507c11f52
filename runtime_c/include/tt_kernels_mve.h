/* Kernels for cores with MVE (Helium, Armv8.1-M: Cortex-M55, M85), where the compiler defines
 * __ARM_FEATURE_MVE. Each has the type and the contract of its portable twin in tt_kernels.h, with
 * the same results to the bit. Some serve fewer geometries than that: `fits` of their rows in
 * tinytrain/kernel/mve.py; the compiler calls the twin instead. */
#ifndef TT_KERNELS_MVE_H
#define TT_KERNELS_MVE_H

#include "tt_kernels.h"

extern __typeof__(tt_conv2d_s8) tt_conv2d_s8_mve;
extern __typeof__(tt_conv2d_s8_s32) tt_conv2d_s8_s32_mve;
extern __typeof__(tt_depthwise_conv2d_s8) tt_depthwise_conv2d_s8_mve;
extern __typeof__(tt_add_s8) tt_add_s8_mve;
extern __typeof__(tt_clamp_mask_s8) tt_clamp_mask_s8_mve;

extern __typeof__(tt_conv2d_s8_grad_input) tt_conv2d_s8_grad_input_mve;
extern __typeof__(tt_conv2d_s8_grad_weight) tt_conv2d_s8_grad_weight_mve;
extern __typeof__(tt_depthwise_conv2d_s8_grad_input) tt_depthwise_conv2d_s8_grad_input_mve;
extern __typeof__(tt_depthwise_conv2d_s8_grad_weight) tt_depthwise_conv2d_s8_grad_weight_mve;
extern __typeof__(tt_grad_clamp_s8) tt_grad_clamp_s8_mve;
extern __typeof__(tt_grad_clamp_mask_s8) tt_grad_clamp_mask_s8_mve;
extern __typeof__(tt_grad_add_s8) tt_grad_add_s8_mve;
extern __typeof__(tt_bias_s8_grad) tt_bias_s8_grad_mve;

#endif
