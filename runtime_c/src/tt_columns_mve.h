/* Sums of six columns of weights over output channels, at many positions: the inner loops of
 * gradients of inputs. */
#ifndef TT_COLUMNS_MVE_H
#define TT_COLUMNS_MVE_H

#include <stddef.h>
#include <stdint.h>

enum {
    TT_RUN_COLUMNS = 6, /* even registers that hold sums */
    TT_RUN_LANES = 8    /* of s16: output channels in a vector */
};

/* Sums of six columns along a run of positions, in steps of eight outputs. */
typedef struct {
    uint32_t column[TT_RUN_COLUMNS]; /* 0: where columns lie in a row of weights; the last may be
                                    repeated */
    uint32_t count;                  /* 24: positions */
    uint32_t acc_step;               /* 28: bytes of sums from one position to the next */
    uint32_t g_step; /* 32: bytes of the panel from the end of the run to its start, eight outputs
                        on */
    uint32_t w_step; /* 36: bytes of weights from eight outputs to the next */
    uint16_t rows[TT_RUN_LANES];    /* 40: where the weights of eight outputs lie */
    int32_t (*acc)[TT_RUN_COLUMNS]; /* 56: sums at the first position */
} tt_run;

_Static_assert(offsetof(tt_run, count) == 24 && offsetof(tt_run, acc_step) == 28 &&
                   offsetof(tt_run, g_step) == 32 && offsetof(tt_run, w_step) == 36 &&
                   offsetof(tt_run, rows) == 40 && offsetof(tt_run, acc) == 56,
               "the assembly knows these offsets");

/* run->acc[position] += sums over `outputs` > 0 outputs; w and g point to the first. Each partial
 * sum is within 2^30 as the whole is: its bound is that of the absolute values. */
void tt_add_columns_mve(const tt_run *run, int32_t outputs, const int8_t *w, const int16_t *g);

/* Where sums of four positions go: to[i] belongs to lane i of the pairs of vectors below. */
typedef struct {
    uint16_t to[4 * TT_RUN_COLUMNS]; /* 0 */
    int32_t left[4];                 /* 48: 31 - shift */
    int8_t lowest[16];               /* 64: -127 */
} tt_target;

_Static_assert(offsetof(tt_target, left) == 48 && offsetof(tt_target, lowest) == 64,
               "the assembly knows these offsets");

/* Rounds the sums of 4 * fours positions; returns the peak. Bounds: |acc| <= 2^30. */
int32_t tt_round_fours_mve(const tt_target *target, size_t fours, const int32_t *acc, int32_t shift,
                           int32_t peak, size_t step, int8_t *dx);

#endif
