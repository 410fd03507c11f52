/* Which of the loops of tt_depthwise_conv2d_rows_dsp.h serves a window, and what it is given. */
#ifndef TT_DEPTHWISE_CONV2D_VIEW_DSP_H
#define TT_DEPTHWISE_CONV2D_VIEW_DSP_H

#include "tt_depthwise_conv2d_planes_dsp.h"
#include "tt_depthwise_conv2d_rows_dsp.h"
#include "tt_depthwise_conv2d_store_dsp.h"

#if defined(__ARM_FEATURE_SIMD32)

/* The faster ones first, for each stride; those for a map of 4x4 are chosen apart. */
typedef enum {
    TT_ROWS_3X3_STRIDE1,
    TT_ROWS_5_STRIDE1,
    TT_ROWS_7_STRIDE1,
    TT_ROWS_ANY_STRIDE1,
    TT_ROWS_3X3_STRIDE2,
    TT_ROWS_6_STRIDE2,
    TT_ROWS_8_STRIDE2,
    TT_ROWS_ANY_STRIDE2,
    TT_MAP4_3X3,
    TT_MAP4_5X5
} tt_rows_kind;

/* A map of sums over planes. With `lead` columns of weights 0 before the first tap, the window of
 * output (row, column) begins in row `row` + row * stride_h of the whole plane, and where its kind
 * wants it in a word. */
typedef struct {
    tt_rows_kind kind;
    uint32_t rows, columns;
    uint32_t taps_h, taps_w; /* either may be 0: all sums are 0 */
    uint32_t stride_h;       /* in rows of the plane */
    uint32_t row, word;      /* of the plane, where the window of the first output begins */
    uint32_t lead;
    int32_t tap;                 /* index of its first tap in the weights of a channel */
    int32_t tap_down, tap_right; /* from a tap to the one below it and to its right */
} tt_view;

/* A strip of a view, ready for its loop. */
typedef struct {
    tt_rows_kind kind;
    uint32_t stream; /* words of weights a row, of one of the streams of a kind for any width */
    uint32_t pitch;  /* words */
    uint32_t first;  /* word of the plane, for 3x3 */
    tt_rows_3x3_dsp three;
    tt_rows_dsp any;
} tt_view_job;

/* Whole quads of `rows` rows of `columns` >= 4 outputs, `step` apart, in rows `row_step` apart. */
static inline tt_quad_rows_dsp tt_quad_rows_of(size_t columns, size_t rows, size_t step,
                                               size_t row_step)
{
    const size_t quads = columns / 4;
    if (columns % 4 == 0 && row_step == columns * step) {
        return (tt_quad_rows_dsp){step, quads * rows, 1, 0, 0};
    }
    return (tt_quad_rows_dsp){step, quads, rows, columns % 4 != 0 ? 16 : 0,
                              row_step - 4 * quads * step};
}

/* The kind that serves a whole window over a map of 4x4, in reverse, too, or -1. */
static inline int tt_map4_kind(const tt_window *window)
{
    const uint32_t kernel = window->kernel_h;
    if (window->in_h != 4 || window->in_w != 4 || window->out_h != 4 || window->out_w != 4 ||
        window->kernel_w != kernel || window->pad_top != kernel / 2 ||
        window->pad_left != kernel / 2 || window->stride_h != 1 || window->stride_w != 1) {
        return -1;
    }
    return kernel == 3 ? TT_MAP4_3X3 : kernel == 5 ? TT_MAP4_5X5 : -1;
}

/* Planes that such a map fills. */
static inline void tt_planes_map4(tt_planes *planes)
{
    planes->top = 0;
    planes->left = 0;
    planes->pitch = 2;
    planes->rows = 4;
}

static inline uint32_t tt_quads(uint32_t columns)
{
    return (columns + 3) / 4;
}

/* Words from one row of a plane to the next that `columns` outputs take under `taps` columns of
 * weights at `stride` (1 or 2), besides `word`. */
static inline uint32_t tt_view_words(uint32_t columns, uint32_t taps, uint32_t stride)
{
    const uint32_t more = taps <= 5 ? 2 : taps <= 7 ? 4 : (taps + 3) / 2;
    return tt_quads(columns) * 2 * stride + more;
}

/* Words that the weights of a channel and the sum to begin with take at most, with room to order
 * them. */
static inline uint32_t tt_taps_words(uint32_t taps_h, uint32_t taps_w)
{
    const uint32_t columns = taps_w > 0 ? taps_w : 1;
    return 1 + (taps_h > 0 ? taps_h : 1) * (columns + 3) + (columns + 9) / 2;
}

/* Chooses kind, lead and word, given taps_h and taps_w and stride_w 1 or 2, for windows whose first
 * tap reads column `column` >= 2 of the plane. */
void tt_view_choose_dsp(tt_view *view, uint32_t stride_w, uint32_t column);

/* Orders the weights of a channel, w[kernel_h][kernel_w], for any view; taps[0] is set to `sum`. */
void tt_view_order_dsp(const tt_view *view, const int8_t *w, int32_t sum, int32_t *taps);

/* Rows [first, first + rows) of the view over what is in the planes. table[rows * quads] is filled
 * and used later. */
tt_view_job tt_view_begin_dsp(const tt_view *view, const tt_planes *planes, uint32_t first,
                              uint32_t rows, tt_quad_dsp *table);

/* acc[rows][4 * quads] of one plane, from weights in order. */
void tt_view_sum_dsp(const tt_view_job *job, const uint32_t *plane, const int32_t *taps,
                     int32_t *acc);

#endif
#endif
