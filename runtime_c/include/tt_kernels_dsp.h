/* Kernels for cores with DSP instructions (Cortex-M4, M7, M33): the contracts of tt_kernels.h, name by name. */
#ifndef TT_KERNELS_DSP_H
#define TT_KERNELS_DSP_H

#include "tt_kernels.h"

void tt_conv2d_s8_dsp(const tt_window *window, const tt_requant *requant, const tt_segment *segments,
                      size_t segment_count, const int32_t *bias, const int8_t *x, int8_t *y, void *scratch);
void tt_conv2d_s8_s32_dsp(const tt_window *window, const tt_requant *requant, const tt_segment *segments,
                          size_t segment_count, const int32_t *bias, const int8_t *x, int32_t *y, void *scratch);
void tt_conv2d_s8_grad_input_dsp(const tt_window *window, const tt_segment *segments, size_t segment_count,
                                 const tt_factors *factors, const tt_rescale *rescale, const int8_t *g, int8_t *dx,
                                 void *scratch);
void tt_conv2d_s8_grad_weight_dsp(const tt_window *window, const tt_update *update, const tt_step *step, int8_t x_zero,
                                  const int8_t *x, const int8_t *g, tt_trained *trained, void *scratch);

#endif
