/* Inner products of eight lanes at once on a core with DSP instructions.
 *
 * A lane is an output position (forward), an input position (gradient of the input) or an input channel
 * (gradient of the weights); what the lanes hold was widened to s16 once, so that each weight that is loaded
 * serves eight multiplications and each load of lanes two.
 */
#ifndef TT_DOT8_DSP_H
#define TT_DOT8_DSP_H

#include "tt_kernels_dsp.h"

#define TT_LANES 8U

/* Quads that a lane of a tile may have; the compiler sizes scratch by it. */
#define TT_TILE_QUADS_DSP 288U

/* Pairs that a lane of a tile may have, over all taps. */
#define TT_TILE_PAIRS_DSP 576U

/* s16 lanes of four successive terms, term 0 and 2 in one word, 1 and 3 in the next: the order in which SXTB16
 * takes the bytes of a word apart. */
typedef struct {
    int32_t even, odd;
} tt_quad;

/* acc[lane] += sum over q < quads, t < 4 of tile[q][lane] term t * w[4 * q + t]. quads >= 1. Reads 4 * quads weights
 * from any address. |tile| <= 2^15, the caller bounds the sums below 2^31. */
void tt_dot8_quads_dsp(int32_t acc[TT_LANES], const tt_quad *tile, const int8_t *w, size_t quads);

/* What tt_rows8_dsp works on; it leaves the pointers and `rows` changed. */
typedef struct {
    const tt_quad *tile;
    const tt_quad *tile_end; /* tile + quads * TT_LANES */
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift; /* -1 - shift in 1..TT_SHORT_COUNT_DSP */
    int32_t twice_zero;  /* 2 * zero point of y + 1 */
    int8_t *y;
    size_t step; /* from lane to lane of y */
    const int8_t *w;
    size_t surplus; /* 4 * quads less the weights of a row */
    size_t rows;
} tt_rows8;

/* Whole rows, with bias, requantization and saturation to s8 in one go: row after row
 *
 *   y[lane * step] = tt_requantize(*bias + sum of tile[q][lane] * w[...], *multiplier, *shift) + zero, saturated,
 *
 * then y, bias, multiplier and shift go to the next element and w to the next row, of 4 * quads - surplus weights;
 * the last row's words must be readable to their end. rows >= 1, quads >= 1. */
void tt_rows8_dsp(tt_rows8 *rows);

/* sums[lane] = sum over q < quads, t < 4 of tile[q][lane] term t * row[q] term t; then sums and tile go on by eight
 * lanes, `tiles` times. tiles >= 1, quads >= 1. The caller bounds the sums below 2^31. */
void tt_sums8_dsp(int32_t *sums, const tt_quad *tile, const tt_quad *row, size_t quads, size_t tiles);

/* acc[lane] += sum over q < pairs, t < 2 of tile[q][lane] term t * w[(2 * q + t) * step]; a word of the tile holds
 * term 0 in its low half. pairs >= 1. */
void tt_dot8_pairs_dsp(int32_t acc[TT_LANES], const int32_t *tile, const int8_t *w, size_t pairs, size_t step);

#endif
