/* Which windows of an average pool read an element, and which of its neighbours they read, too.
 *
 * Elements that the same windows read have the same gradient: kernels compute one and copy it. */
#ifndef TT_AVG_POOL2D_H
#define TT_AVG_POOL2D_H

#include "tt_gradient.h"
#include "tt_window.h"

/* Taps that the mean of a window divides by; at least 1. */
static inline int32_t tt_divisor(const tt_window *window, tt_taps rows, tt_taps columns,
                                 int count_include_pad)
{
    if (count_include_pad) {
        return window->kernel_h * window->kernel_w;
    }
    return (int32_t)((rows.end - rows.begin) * (columns.end - columns.begin));
}

/* Along one axis: whether `reached` is where one of the windows begins. */
static inline int tt_is_start(uint32_t reached, uint32_t stride, uint32_t outputs)
{
    return reached % stride == 0 && reached / stride < outputs;
}

/* Along one axis: how many elements from `index` on the same windows read, at least 1. Where
 * windows have gaps between their taps, each is taken for itself. */
static inline uint32_t tt_alike(uint32_t index, uint32_t stride, uint32_t padding,
                                uint32_t dilation, uint32_t kernel, uint32_t extent,
                                uint32_t outputs)
{
    uint32_t next = index + 1;
    if (dilation > 1 && kernel > 1) {
        return 1;
    }
    for (; next < extent; next++) {
        const uint32_t reached = next + padding;
        if (tt_is_start(reached, stride, outputs) ||
            (reached >= kernel && tt_is_start(reached - kernel, stride, outputs))) {
            break;
        }
    }
    return next - index;
}

/* Elements that the same windows read: `columns` from (ih, iw) on, in `rows` rows. */
typedef struct {
    uint32_t ih, iw, rows, columns;
} tt_patch;

static inline uint32_t tt_alike_rows(const tt_window *window, uint32_t ih)
{
    return tt_alike(ih, window->stride_h, window->pad_top, window->dilation_h, window->kernel_h,
                    window->in_h, window->out_h);
}

static inline uint32_t tt_alike_columns(const tt_window *window, uint32_t iw)
{
    return tt_alike(iw, window->stride_w, window->pad_left, window->dilation_w, window->kernel_w,
                    window->in_w, window->out_w);
}

/* A window over an element: its gradient, and the factor of its mean. */
typedef struct {
    const int8_t *g;
    int32_t factor;
} tt_pool_window;

/* Windows over an element that a kernel of an instruction set lists. */
#define TT_MOST_POOL_WINDOWS 16

/* Lists the windows over element (ih, iw), at most TT_MOST_POOL_WINDOWS; returns how many. */
static inline size_t tt_list_pool_windows(const tt_window *window, const tt_factors *factors,
                                          int count_include_pad, uint32_t ih, uint32_t iw,
                                          const int8_t *g, tt_pool_window *to)
{
    tt_pool_window *next = to;
    for (uint32_t kh = 0; kh < window->kernel_h; kh++) {
        const int32_t oh = tt_output_row(window, ih, kh);
        for (uint32_t kw = 0; oh >= 0 && kw < window->kernel_w; kw++) {
            const int32_t ow = tt_output_column(window, iw, kw);
            if (ow >= 0) {
                const tt_taps rows = tt_rows_at(window, (uint32_t)oh);
                const tt_taps columns = tt_columns_at(window, (uint32_t)ow);
                const int32_t count = tt_divisor(window, rows, columns, count_include_pad);
                next->g = g + ((size_t)oh * window->out_w + (size_t)ow) * window->out_c;
                next->factor = factors->integer[count - 1];
                next++;
            }
        }
    }
    return (size_t)(next - to);
}

#endif
