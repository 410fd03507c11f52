/* Line-buffered chains of layers: which rows a step moves, reads and writes (docs/memory.md).
 *
 * A map of a chain lies in a line buffer: rows that no later step needs leave its front, the rest
 * moves there, and new rows follow. The compiler computes every step beforehand and proves that
 * each row is where it is read.
 */
#ifndef TT_LINE_BUFFER_H
#define TT_LINE_BUFFER_H

#include <string.h>

#include "tt_kernels.h"

/* The rows of one map that one step computes. */
typedef struct {
    uint16_t drop;    /* rows that leave its buffer before anything is written */
    uint16_t kept;    /* rows that then move to the front */
    uint16_t rows;    /* new rows behind them; 0: the step computes none, and nothing moves */
    uint16_t in_rows; /* rows that are read of each input */
    uint16_t pad_top; /* rows of padding above them */
    uint16_t skip[2]; /* rows of each input's buffer above the first one that is read */
} tt_stripe;

/* Makes space for new rows of `row_bytes` each. */
static inline void tt_stripe_roll(const tt_stripe *stripe, size_t row_bytes, void *buffer)
{
    if (stripe->drop != 0 && stripe->kept != 0) {
        memmove(buffer, (uint8_t *)buffer + stripe->drop * row_bytes, stripe->kept * row_bytes);
    }
}

/* The window of a stripe: that of a smaller map, padded at the top only where it is the top of the
 * whole map. Rows below its last one are absent, as they are below a whole map. */
static inline tt_window tt_stripe_window(const tt_stripe *stripe, const tt_window *whole)
{
    tt_window window = *whole;
    window.in_h = stripe->in_rows;
    window.out_h = stripe->rows;
    window.pad_top = stripe->pad_top;
    return window;
}

#endif
