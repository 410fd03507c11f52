/* Kernels for cores with DSP instructions (Cortex-M4, M7, M33): the contracts of tt_kernels.h, name
 * by name. */
#ifndef TT_KERNELS_DSP_H
#define TT_KERNELS_DSP_H

#include "tt_kernels.h"

void tt_conv2d_s8_dsp(const tt_window *window, const tt_requant *requant,
                      const tt_segment *segments, size_t segment_count, const int32_t *bias,
                      const int8_t *x, int8_t *y, void *scratch, size_t room);
void tt_conv2d_s8_s32_dsp(const tt_window *window, const tt_requant *requant,
                          const tt_segment *segments, size_t segment_count, const int32_t *bias,
                          const int8_t *x, int32_t *y, void *scratch, size_t room);
void tt_conv2d_s8_grad_input_dsp(const tt_window *window, const tt_segment *segments,
                                 size_t segment_count, const tt_factors *factors,
                                 const tt_rescale *rescale, const int8_t *g, int8_t *dx,
                                 void *scratch, size_t room);
void tt_conv2d_s8_grad_weight_dsp(const tt_window *window, const tt_update *update,
                                  const tt_step *step, int8_t x_zero, const int8_t *x,
                                  const int8_t *g, tt_trained *trained, void *scratch);

/* Requires out_c == in_c, no dilation along an axis with several taps, and a stride_w of 1 or 2. */
void tt_depthwise_conv2d_s8_dsp(const tt_window *window, const tt_requant *requant,
                                const int8_t *weights, const uint16_t *outputs, size_t count,
                                const int32_t *bias, const int8_t *x, int8_t *y, void *scratch);

/* Requires the same, and a stride_h of 1 or 2. */
void tt_depthwise_conv2d_s8_grad_input_dsp(const tt_window *window, const int8_t *weights,
                                           const uint16_t *outputs, size_t count,
                                           const tt_factors *factors, const tt_rescale *rescale,
                                           const int8_t *g, int8_t *dx, void *scratch);

void tt_clamp_mask_s8_dsp(size_t size, int8_t lo, int8_t hi, const int8_t *y, uint8_t *mask);
void tt_grad_clamp_s8_dsp(size_t size, int8_t lo, int8_t hi, const int8_t *g, const int8_t *y,
                          int8_t *out);
void tt_grad_clamp_mask_s8_dsp(size_t size, const int8_t *g, const uint8_t *mask, int8_t *out);
void tt_bias_s8_grad_dsp(size_t positions, size_t channels, const tt_update *update,
                         const tt_step *step, const int8_t *g, int32_t *bias);

/* Requires the same as the forward kernel. */
void tt_depthwise_conv2d_s8_grad_weight_dsp(const tt_window *window, const tt_update *update,
                                            const tt_step *step, int8_t x_zero, const int8_t *x,
                                            const int8_t *g, tt_trained *trained, void *scratch);

void tt_add_s8_dsp(const tt_add *add, size_t size, const int8_t *a, const int8_t *b, int8_t *y);

void tt_clamp_mask_s8_dsp(size_t size, int8_t lo, int8_t hi, const int8_t *y, uint8_t *mask);
void tt_grad_clamp_s8_dsp(size_t size, int8_t lo, int8_t hi, const int8_t *g, const int8_t *y,
                          int8_t *out);
void tt_grad_clamp_mask_s8_dsp(size_t size, const int8_t *g, const uint8_t *mask, int8_t *out);

void tt_grad_add_s8_dsp(size_t size, const tt_rescale *rescale, int32_t b_exponent, const int8_t *a,
                        const int8_t *b, int8_t *out);

void tt_bias_s8_grad_dsp(size_t positions, size_t channels, const tt_update *update,
                         const tt_step *step, const int8_t *g, int32_t *bias);

#endif
