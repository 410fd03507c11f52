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

/* The gradient of one element in all channels, from the windows over it. */
typedef void tt_mean_gradient(const tt_pool_window *windows, size_t count, size_t channels,
                              tt_rounding *rounding, int8_t *dx);

/* to[i] = to[i - distance], i < size, in order: what was written here may be copied again. */
typedef void tt_repeat(int8_t *to, size_t distance, size_t size);

/* The gradient of the pool: one element of each patch that the same windows read, and its copies.
 * Inlined, so that what it is given is called directly. */
__attribute__((always_inline)) static inline void
tt_pool_gradient_of_patches(const tt_window *window, const tt_factors *factors,
                            int count_include_pad, const int8_t *g, tt_mean_gradient *mean_gradient,
                            tt_repeat *repeat, tt_rounding *rounding, int8_t *dx)
{
    const size_t channels = window->in_c;
    const size_t row_size = window->in_w * channels;
    tt_patch patch = {0, 0, 0, 0};
    for (; patch.ih < window->in_h; patch.ih += patch.rows) {
        int8_t *row = dx + patch.ih * row_size;
        patch.rows = tt_alike_rows(window, patch.ih);
        for (patch.iw = 0; patch.iw < window->in_w; patch.iw += patch.columns) {
            tt_pool_window windows[TT_MOST_POOL_WINDOWS];
            int8_t *to = row + patch.iw * channels;
            const size_t count = tt_list_pool_windows(window, factors, count_include_pad, patch.ih,
                                                      patch.iw, g, windows);
            patch.columns = tt_alike_columns(window, patch.iw);
            mean_gradient(windows, count, channels, rounding, to);
            repeat(to + channels, channels, (patch.columns - 1) * channels);
        }
        repeat(row + row_size, row_size, (patch.rows - 1) * row_size);
    }
}

#endif
