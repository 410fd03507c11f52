/* Inner products of eight lanes at once on a core with DSP instructions.
 *
 * A lane is an output position (forward), an input position (gradient of the input) or an input
 * channel (gradient of the weights); what the lanes hold was widened to s16 once, so that each
 * weight that is loaded serves eight multiplications and each load of lanes two.
 */
#ifndef TT_DOT8_DSP_H
#define TT_DOT8_DSP_H

#include "tt_kernels_dsp.h"

#define TT_LANES 8U

/* Quads that a lane of a tile may have; the compiler sizes the workspace by it. */
#define TT_TILE_QUADS_DSP 288U

/* Quads of a part of the outputs, at least: with less, its sums cost more than its products. */
#define TT_PART_QUADS_DSP 8U

/* Bytes of weights of several segments that are joined to one. */
#define TT_JOINED_DSP 16384U

/* s16 lanes of four successive terms, term 0 and 2 in one word, 1 and 3 in the next: the order in
 * which SXTB16 takes the bytes of a word apart. */
typedef struct {
    int32_t even, odd;
} tt_quad;

/* acc[lane] += sum over q < quads, t < 4 of tile[q][lane] term t * w[4 * q + t]. quads >= 1. Reads
 * 4 * quads weights from any address. |tile| <= 2^15, the caller bounds the sums below 2^31. */
void tt_dot8_quads_dsp(int32_t acc[TT_LANES], const tt_quad *tile, const int8_t *w, size_t quads);

/* What tt_rows8_dsp works on; `row` and `w` have moved on afterwards. */
typedef struct {
    const int32_t *bias;
    const tt_quad *tile;
    size_t row; /* the first to do */
    const int32_t *multiplier;
    int32_t zero; /* point of y */
    size_t step;  /* from lane to lane of y */
    int8_t *y;
    size_t rows;    /* one behind the last to do, > row */
    size_t surplus; /* 4 * quads less the weights of a row */
    const int8_t *w;
} tt_rows8;

/* Whole rows, with bias, requantization and saturation to s8 in one go:
 *
 *   y[lane * step + row] =
 *       tt_requantize(bias[row] + sum of tile[q][lane] * w[...], multiplier[row], -1) + zero,
 *
 * saturated; then w goes to the next row, of 4 * quads - surplus weights. The words of the last row
 * must be readable to their end. quads >= 1. */
void tt_rows8_dsp(tt_rows8 *rows, size_t quads);

/* sums[lane] = sum over q < quads, t < 4 of tile[q][lane] term t * row[q] term t; then sums and
 * tile go on by eight lanes, `tiles` times. tiles >= 1, quads >= 1. The caller bounds the sums
 * below 2^31. */
void tt_sums8_dsp(int32_t *sums, const tt_quad *tile, const tt_quad *row, size_t quads,
                  size_t tiles);

/* Four channels at 16 positions, and their sums. */
typedef struct {
    tt_quad lanes[4][4];
    int32_t sums[4];
} tt_four16;

/* sums[channel] of each four = sum over q < 4, t < 4 of lanes[channel][q] term t * row[q] term t.
 * fours >= 1. The same as tt_sums8_dsp for the smallest of maps, with the row in registers: 12
 * instructions for 16 terms. */
void tt_sums16_dsp(tt_four16 *four, const tt_quad *row, size_t fours);

#endif
