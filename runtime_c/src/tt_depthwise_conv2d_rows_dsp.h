/* Rows of sums of one channel of a depthwise convolution, on a core with DSP instructions.
 *
 * A plane holds one channel as s16, row by row, zeros all around, so that no tap is in the padding.
 * Two successive elements are a word, which one SMLAD multiplies by two weights. Four successive
 * outputs of a row, a quad, are summed at once and share what they load; a row of sums ends with a
 * whole quad.
 */
#ifndef TT_DEPTHWISE_CONV2D_ROWS_DSP_H
#define TT_DEPTHWISE_CONV2D_ROWS_DSP_H

#include "tt_kernels_dsp.h"

/* 3x3, three rows of weights unrolled. All in bytes of the plane. */
typedef struct {
    uint32_t row_skip;   /* from behind the last quad of a row of outputs to the first quad of the
                            next */
    uint32_t quad_bytes; /* that the quads of a row of outputs go ahead */
    uint32_t bytes;      /* that all rows of outputs go ahead */
    uint32_t pitch;      /* from one row to the next */
} tt_rows_3x3_dsp;

/* A quad under any number of rows of weights, at least 1. All in bytes. */
typedef struct {
    uint32_t x;     /* first word of the first row that it reads, from the start of the plane */
    uint32_t w;     /* first row of weights, from the start of the weights */
    uint32_t w_end; /* behind the last row of weights */
} tt_quad_dsp;

typedef struct {
    const tt_quad_dsp *begin, *end;
    uint32_t step; /* bytes from where a row of weights leaves the plane to the plane's next row */
} tt_rows_dsp;

/* In all of them acc[quad][i] = taps[0] + sum of x * w; taps[0] is the sum to begin with, the
 * others are pairs of weights, w_i in the low half of (w_i, w_j). The caller bounds the sums below
 * 2^31. Kernels for a stride of 1 are:
 *
 * 3x3: a window begins at the second element of the first word. (w0, w1), (w1, w2) a row.
 * 5: up to five columns. A window begins at the first element of the first word; (w0, w1),
 *    (w2, w3), (w1, w2), (w3, w4) a row. Reads four words a quad.
 * 7: up to seven columns. A window begins at the second element; (w0, w1), (w1, w2), ... (w5, w6)
 *    a row. Reads six words a quad; step is 12 less than the pitch.
 *
 * Kernels for a stride of 2, windows beginning at a first element:
 *
 * 3x3, 6, 8: up to 4, 6, 8 columns; (w0, w1), (w2, w3), ... a row. 6: step is 12 less than the
 * pitch. */
void tt_rows_3x3_stride1_dsp(const tt_rows_3x3_dsp *rows, const void *plane, const int32_t *taps,
                             int32_t *acc);
void tt_rows_3x3_stride2_dsp(const tt_rows_3x3_dsp *rows, const void *plane, const int32_t *taps,
                             int32_t *acc);
void tt_rows_5_stride1_dsp(const tt_rows_dsp *rows, const void *plane, const int32_t *taps,
                           int32_t *acc);
void tt_rows_7_stride1_dsp(const tt_rows_dsp *rows, const void *plane, const int32_t *taps,
                           int32_t *acc);
void tt_rows_6_stride2_dsp(const tt_rows_dsp *rows, const void *plane, const int32_t *taps,
                           int32_t *acc);
void tt_rows_8_stride2_dsp(const tt_rows_dsp *rows, const void *plane, const int32_t *taps,
                           int32_t *acc);

/* A map of 4x4 that fills its plane, no zeros around it, under 3x3 with a padding of 1 or 5x5 with
 * one of 2, stride 1. taps as in 3x3 and 5, acc[4][4]. */
void tt_map4_3x3_dsp(const void *plane, const int32_t *taps, int32_t *acc);
void tt_map4_5x5_dsp(const void *plane, const int32_t *taps, int32_t *acc);

#endif
