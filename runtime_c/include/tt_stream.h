/* Chains of layers that run row by row: which rows a turn moves, reads and writes (docs/memory.md).
 *
 * A map lies in a rolling buffer: rows that nobody needs any more leave its front, the others move
 * there, and new rows follow. The compiler knows every turn beforehand and proves that each row is
 * where it is read.
 */
#ifndef TT_STREAM_H
#define TT_STREAM_H

#include <string.h>

#include "tt_kernels.h"

/* One turn of one map. */
typedef struct {
    uint16_t drop;    /* rows that leave its buffer before anything is written */
    uint16_t kept;    /* rows that then move to the front */
    uint16_t rows;    /* new rows behind them; 0: the turn computes none, and nothing moves */
    uint16_t in_rows; /* rows that are read of each input */
    uint16_t pad_top; /* rows of padding above them */
    uint16_t skip[2]; /* rows of each input's buffer before the first one that is read */
} tt_band;

/* Makes room for new rows of `row_bytes` each. */
static inline void tt_band_roll(const tt_band *band, size_t row_bytes, void *buffer)
{
    if (band->drop != 0 && band->kept != 0) {
        memmove(buffer, (uint8_t *)buffer + band->drop * row_bytes, band->kept * row_bytes);
    }
}

/* The window of a band: a smaller map, padded at the top only where it is the top of the whole one.
 * Rows below its last one are absent, as they are below a map. */
static inline tt_window tt_band_window(const tt_band *band, const tt_window *whole)
{
    tt_window window = *whole;
    window.in_h = band->in_rows;
    window.out_h = band->rows;
    window.pad_top = band->pad_top;
    return window;
}

#endif
