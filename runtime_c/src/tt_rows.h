/* Rows of weights and what each is multiplied by: the inner loops of the input gradient of
 * convolutions.
 *
 * A row belongs to one output channel at one tap, and serves TT_POSITIONS inputs, or one. Only rows
 * are listed of which some product is not 0, which spares half of them where gradients went through
 * a ReLU.
 */
#ifndef TT_ROWS_H
#define TT_ROWS_H

#include "tt_tile.h"

/* Columns whose sums lie together. */
#define TT_COLUMNS (TT_VECTORS ? 64U : 16U)

typedef struct {
    uint32_t row;    /* its index in the weights of a segment */
    uint32_t offset; /* of its first weight there */
    int32_t factored[TT_POSITIONS];
} tt_row_s32;

typedef struct {
    uint32_t row, offset;
    float factored[TT_POSITIONS];
} tt_row_f32;

/* Where the sum of column c, c < columns, and position p lies. */
static inline size_t tt_column_step(size_t positions)
{
    return TT_VECTORS ? 1 : positions;
}

static inline size_t tt_sums_step(size_t columns)
{
    return TT_VECTORS ? columns : 1;
}

/* sums[c, p] += sum over i < count of factored[p] of entry i * w[its offset + c], c < columns, p <
 * positions; positions is TT_POSITIONS or 1. The caller bounds the sums. */
void tt_add_rows_s32(size_t count, const tt_row_s32 *rows, size_t positions, size_t columns,
                     const int8_t *w, int32_t *sums);
void tt_add_rows_f32(size_t count, const tt_row_f32 *rows, size_t positions, size_t columns,
                     const int8_t *w, float *sums);

#endif
