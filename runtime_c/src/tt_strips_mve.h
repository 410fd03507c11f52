/* Rows of a map, woven so that a window of one channel is a few words.
 *
 * A strip holds 16 channels: columns one after another, each column with four rows of each channel
 * in one word, and with a second such group of rows where windows are larger. Rows and columns in
 * the padding hold the zero point. */
#ifndef TT_STRIPS_MVE_H
#define TT_STRIPS_MVE_H

#include "tt_kernels.h"

enum {
    TT_STRIP_CHANNELS = 16,
    TT_STRIP_GROUP = 4 * TT_STRIP_CHANNELS /* bytes of four rows in a column */
};

typedef struct {
    const tt_window *window;
    int8_t zero;
    uint32_t groups;  /* of four rows: 1 or 2 */
    uint32_t rows;    /* of outputs that a strip serves */
    uint32_t columns; /* the first is column -pad_left of the map */
    uint32_t size;    /* of a strip, in bytes */
    int8_t *bytes;    /* of the strips in the workspace */
} tt_strips;

/* `count` strips, from that of output row first * rows on, for up to 16 channels, the first of
 * which x points to. */
void tt_weave_strips_mve(const tt_strips *strips, uint32_t first, uint32_t count, uint32_t channels,
                         const int8_t *x);

#endif
