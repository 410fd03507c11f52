/* Products of weights with the inputs of several positions: the inner loops of convolutions and
 * dense layers.
 *
 * A tile holds the centred inputs (x - zero) under the windows of TT_POSITIONS output positions, or
 * of one. It is filled once and serves every output channel, so that no loop over it centres, looks
 * channels up or meets padding.
 */
#ifndef TT_TILE_H
#define TT_TILE_H

#include "tt_requantize.h"

/* Positions that share each weight that was loaded. */
#define TT_POSITIONS 4U

/* Whether the compiler has vector registers to fill. Then loops run along memory, 16 bits an
 * operand and the operands of a position in a row, so that gcc and clang find the multiply-add of
 * pairs; else they keep all sums in registers, and the operands of the positions stand side by side
 * in the form that takes one instruction to load. Either way works everywhere; tests set it to
 * build both. */
#ifndef TT_VECTORS
#if defined(__SSE2__) || defined(__ARM_NEON)
#define TT_VECTORS 1
#else
#define TT_VECTORS 0
#endif
#endif

#if TT_VECTORS
typedef int16_t tt_operand;
#else
typedef int32_t tt_operand;
#endif

/* Distance between the operands of a position, and between positions, in a tile of `depth` operands
 * a position. */
static inline size_t tt_operand_step(size_t positions)
{
    return TT_VECTORS ? 1 : positions;
}

static inline size_t tt_position_step(size_t depth)
{
    return TT_VECTORS ? depth : 1;
}

/* These stand in a file of their own because their loops need all registers: inlined, they would
 * share them with variables of their caller. A product is at most 255 * 128 < 2^15; the caller
 * bounds the sums. */

/* sums[row * TT_POSITIONS + p] = start + sum over j < count of w[row * count + j] * (operand j of
 * position p), row < rows; x points to operand 0 of position 0 in a tile of `depth` operands a
 * position. start is bias[row], or where bias is NULL the sum that is there. */
void tt_four_positions(size_t count, size_t depth, const tt_operand *x, size_t rows,
                       const int8_t *w, const int32_t *bias, int32_t *sums);

/* The same for one position: sums[row] = start + sum over j < count of w[row * count + j] * x[j],
 * row < rows. */
void tt_one_position(size_t count, const tt_operand *x, size_t rows, const int8_t *w,
                     const int32_t *bias, int32_t *sums);

#endif
