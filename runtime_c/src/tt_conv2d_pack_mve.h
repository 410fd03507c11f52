/* The inputs of windows as rows, in the order of the weights. */
#ifndef TT_CONV2D_PACK_MVE_H
#define TT_CONV2D_PACK_MVE_H

#include "tt_kernels.h"

/* Bytes of a window in a panel. */
#define TT_SHORT_WINDOW 32U

/* What a row is made from. */
typedef struct {
    const tt_window *window;
    const tt_segment *segments;
    size_t segment_count;
    int8_t zero;  /* of taps in the padding */
    int is_block; /* a window inside the map is a block of it */
} tt_packing;

static inline tt_packing tt_packing_of(const tt_window *window, const tt_segment *segments,
                                       size_t segment_count, int8_t zero)
{
    const int is_whole = segment_count == 1 && segments[0].channels == NULL && window->groups == 1;
    return (tt_packing){window, segments, segment_count, zero, is_whole && window->dilation_w == 1};
}

/* The inputs of the window at (oh, ow), [segment][kernel_h][kernel_w][count]; x points to the first
 * channel of the group. */
void tt_pack_window_mve(const tt_packing *packing, uint32_t oh, uint32_t ow, const int8_t *x,
                        int8_t *to);

/* Those of all windows of output row oh, of at most TT_SHORT_WINDOW inputs, that far apart. One
 * segment, one group. */
void tt_pack_panel_mve(const tt_packing *packing, uint32_t oh, const int8_t *x, int8_t *panel);

#endif
