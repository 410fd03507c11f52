/* Kernels for cores with MVE (Helium, Armv8.1-M): the contract of each is that of its twin without
 * suffix in tt_kernels.h, with the same results to the bit. They exist where the compiler's target
 * has MVE. */
#ifndef TT_KERNELS_MVE_H
#define TT_KERNELS_MVE_H

#include "tt_kernels.h"

void tt_conv2d_s8_mve(const tt_window *window, const tt_requant *requant,
                      const tt_segment *segments, size_t segment_count, const int32_t *bias,
                      const int8_t *x, int8_t *y, void *scratch, size_t room);
void tt_conv2d_s8_s32_mve(const tt_window *window, const tt_requant *requant,
                          const tt_segment *segments, size_t segment_count, const int32_t *bias,
                          const int8_t *x, int32_t *y, void *scratch, size_t room);
void tt_depthwise_conv2d_s8_mve(const tt_window *window, const tt_requant *requant,
                                const int8_t *weights, const uint16_t *outputs, size_t count,
                                const int32_t *bias, const int8_t *x, int8_t *y, void *scratch);
void tt_add_s8_mve(const tt_add *add, size_t size, const int8_t *a, const int8_t *b, int8_t *y);
void tt_clamp_mask_s8_mve(size_t size, int8_t lo, int8_t hi, const int8_t *y, uint8_t *mask);

void tt_grad_clamp_s8_mve(size_t size, int8_t lo, int8_t hi, const int8_t *g, const int8_t *y,
                          int8_t *out);
void tt_grad_clamp_mask_s8_mve(size_t size, const int8_t *g, const uint8_t *mask, int8_t *out);
void tt_grad_add_s8_mve(size_t size, const tt_rescale *rescale, int32_t b_exponent, const int8_t *a,
                        const int8_t *b, int8_t *out);
void tt_conv2d_s8_grad_input_mve(const tt_window *window, const tt_segment *segments,
                                 size_t segment_count, const tt_factors *factors,
                                 const tt_rescale *rescale, const int8_t *g, int8_t *dx,
                                 void *scratch, size_t room);
void tt_depthwise_conv2d_s8_grad_input_mve(const tt_window *window, const int8_t *weights,
                                           const uint16_t *outputs, size_t count,
                                           const tt_factors *factors, const tt_rescale *rescale,
                                           const int8_t *g, int8_t *dx, void *scratch);
void tt_conv2d_s8_grad_weight_mve(const tt_window *window, const tt_update *update,
                                  const tt_step *step, int8_t x_zero, const int8_t *x,
                                  const int8_t *g, tt_trained *trained, void *scratch);
void tt_depthwise_conv2d_s8_grad_weight_mve(const tt_window *window, const tt_update *update,
                                            const tt_step *step, int8_t x_zero, const int8_t *x,
                                            const int8_t *g, tt_trained *trained, void *scratch);
void tt_bias_s8_grad_mve(size_t positions, size_t channels, const tt_update *update,
                         const tt_step *step, const int8_t *g, int32_t *bias);

#endif
