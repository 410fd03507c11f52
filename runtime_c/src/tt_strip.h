/* Strips: some rows of one channel, centred and with their padding, over which a depthwise window
 * slides.
 *
 * In NHWC the neighbours of an element are a whole row of channels away; in a strip they are
 * neighbours, and no loop over it centres or meets padding to the left or right. Rows that lie in
 * the padding are not in the strip: their taps are left out.
 */
#ifndef TT_STRIP_H
#define TT_STRIP_H

#include "tt_kernels.h"

/* A strip serves so many output rows at most, and fewer where it and their sums would take more
 * bytes than these: large maps lie where memory is short. It serves one row in any case. */
#define TT_STRIP_ROWS 8U
#define TT_STRIP_BYTES 2048U

/* What a strip holds, all but its content. */
typedef struct {
    const tt_window *window;
    uint32_t first_output, outputs; /* output rows that it serves */
    uint32_t first_row, rows;       /* rows of the map that it holds */
    size_t width;                   /* elements of a row */
} tt_strip;

/* How many output rows each strip serves but the last one, at least 1. A strip that serves n rows
 * has at most min(in_h, (n - 1) * stride_h + (kernel_h - 1) * dilation_h + 1) rows of (out_w - 1) *
 * stride_w
 * + (kernel_w - 1) * dilation_w + 1 elements; with its sums it takes 4 bytes for each of these and
 * of n * out_w. */
uint32_t tt_strip_outputs(const tt_window *window);

/* Requires first_output < out_h. */
tt_strip tt_strip_at(const tt_window *window, uint32_t first_output, uint32_t outputs);

/* Moves those rows of `held` that `next`, a strip further down, holds too to the front of values;
 * returns how many. */
uint32_t tt_strip_advance(const tt_strip *held, const tt_strip *next, int32_t *values);

/* values[rows][width], from row `from` on; x points to the channel in the first element of the
 * map. */
void tt_strip_fill(const tt_strip *strip, uint32_t from, const int8_t *x, int32_t zero,
                   int32_t *values);

/* sums[outputs][out_w] = bias + the taps of w[kernel_h][kernel_w]. At most 32,768 products of 255 *
 * 128, below 2^30, and a bias within 2^30. */
void tt_strip_sums(const tt_strip *strip, const int32_t *values, const int8_t *w, int32_t bias,
                   int32_t *sums);

#endif
