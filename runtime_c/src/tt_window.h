/* Which taps of a window meet the map. */
#ifndef TT_WINDOW_H
#define TT_WINDOW_H

#include "tt_kernels.h"

/* Channels whose sums a kernel without workspace keeps at once, on its stack. */
#define TT_CHANNEL_BLOCK 16U

/* Along one axis: the first input element of a window (negative in the padding), and its taps
 * [begin, end) that lie inside the map. */
typedef struct {
    int32_t start;
    uint32_t begin, end;
} tt_taps;

/* value / dilation, rounded up. Most windows are dense, and a division is a library call on some
 * cores. */
static inline uint32_t tt_dilations(int32_t value, uint32_t dilation)
{
    return dilation == 1 ? (uint32_t)value : ((uint32_t)value + dilation - 1) / dilation;
}

/* Requires dilation >= 1. position * stride < extent + padding < 2^17 by the geometry of a
 * window. */
static inline tt_taps tt_taps_at(uint32_t position, uint32_t stride, uint32_t padding,
                                 uint32_t dilation, uint32_t kernel, uint32_t extent)
{
    tt_taps taps = {(int32_t)(position * stride) - (int32_t)padding, 0, 0};
    const int32_t rest = (int32_t)extent - taps.start;
    if (taps.start < 0) {
        taps.begin = tt_dilations(-taps.start, dilation);
    }
    if (rest > 0) {
        taps.end = tt_dilations(rest, dilation);
    }
    taps.end = taps.end < kernel ? taps.end : kernel;
    taps.begin = taps.begin < taps.end ? taps.begin : taps.end;
    return taps;
}

static inline tt_taps tt_rows_at(const tt_window *window, uint32_t oh)
{
    return tt_taps_at(oh, window->stride_h, window->pad_top, window->dilation_h, window->kernel_h,
                      window->in_h);
}

static inline tt_taps tt_columns_at(const tt_window *window, uint32_t ow)
{
    return tt_taps_at(ow, window->stride_w, window->pad_left, window->dilation_w, window->kernel_w,
                      window->in_w);
}

/* The elements that the last axis holds before tap (kh, kw) of a window: NHWC offset of its first
 * channel. Requires kh, kw from the taps at that window. */
static inline size_t tt_tap_offset(const tt_window *window, tt_taps rows, tt_taps columns,
                                   uint32_t kh, uint32_t kw)
{
    const size_t ih = (size_t)(rows.start + (int32_t)(kh * window->dilation_h));
    const size_t iw = (size_t)(columns.start + (int32_t)(kw * window->dilation_w));
    return (ih * window->in_w + iw) * window->in_c;
}

/* Columns from the first tap of a row of windows to the last one. */
static inline size_t tt_reach(const tt_window *window)
{
    return (size_t)(window->out_w - 1) * window->stride_w +
           (size_t)(window->kernel_w - 1) * window->dilation_w + 1;
}

/* Along one axis: the input element that tap `tap` of the window at `position` reads, or -1. */
static inline int32_t tt_input_of(uint32_t position, uint32_t tap, uint32_t stride,
                                  uint32_t padding, uint32_t dilation, uint32_t extent)
{
    const uint32_t reached = position * stride + tap * dilation;
    return reached < padding || reached - padding >= extent ? -1 : (int32_t)(reached - padding);
}

static inline int32_t tt_input_row(const tt_window *window, uint32_t oh, uint32_t kh)
{
    return tt_input_of(oh, kh, window->stride_h, window->pad_top, window->dilation_h, window->in_h);
}

static inline int32_t tt_input_column(const tt_window *window, uint32_t ow, uint32_t kw)
{
    return tt_input_of(ow, kw, window->stride_w, window->pad_left, window->dilation_w,
                       window->in_w);
}

/* Along one axis: the output whose tap `tap` reads input element `index`, or -1. */
static inline int32_t tt_output_of(uint32_t index, uint32_t tap, uint32_t stride, uint32_t padding,
                                   uint32_t dilation, uint32_t outputs)
{
    const uint32_t reached = index + padding;
    const uint32_t offset = tap * dilation;
    if (reached < offset || (reached - offset) % stride != 0 ||
        (reached - offset) / stride >= outputs) {
        return -1;
    }
    return (int32_t)((reached - offset) / stride);
}

static inline int32_t tt_output_row(const tt_window *window, uint32_t ih, uint32_t kh)
{
    return tt_output_of(ih, kh, window->stride_h, window->pad_top, window->dilation_h,
                        window->out_h);
}

static inline int32_t tt_output_column(const tt_window *window, uint32_t iw, uint32_t kw)
{
    return tt_output_of(iw, kw, window->stride_w, window->pad_left, window->dilation_w,
                        window->out_w);
}

#endif
