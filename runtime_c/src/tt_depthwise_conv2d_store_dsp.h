/* From quads of sums to s8 in NHWC, on a core with DSP instructions. */
#ifndef TT_DEPTHWISE_CONV2D_STORE_DSP_H
#define TT_DEPTHWISE_CONV2D_STORE_DSP_H

#include "tt_gradient.h"

/* Where quads of sums become s8. Sizes are in bytes. */
typedef struct {
    size_t step;     /* from one output to the next */
    size_t quads;    /* of a row that are whole, at least 1 */
    size_t rows;     /* at least 1 */
    size_t acc_skip; /* from their end to the next row's in the sums */
    size_t skip;     /* and in the output */
} tt_quad_rows_dsp;

/* The s8 nearest to tt_requantize(acc, m, -1) + zero. */
void tt_rows_requantize_dsp(const tt_quad_rows_dsp *quad_rows, const int32_t *acc, int8_t *y,
                            int32_t m, int32_t zero);

/* tt_rounded_s8(acc - 2^(shift - 1)), the shift of the rounding in 1..30. |acc| <= 2^30 + 2^29. */
void tt_rows_round_dsp(const tt_quad_rows_dsp *quad_rows, const int32_t *acc, int8_t *y,
                       tt_rounding *rounding);

#endif
