/* Gradient of a depthwise convolution's input on a core with DSP instructions.
 *
 * It is a convolution of pre(G, m) with the taps in reverse, run by the loops of the forward one. A
 * stride s parts rows and columns into classes of every s-th: each sees every s-th tap, and each is
 * a convolution of its own with a stride of 1, so that nothing is multiplied by the zeros that a
 * stride would put between gradients.
 *
 * With strides of 1 dx may be g: as in the forward kernel a row is read once, and the planes of a
 * strip reach pad_top rows below the last row that it writes.
 */
#include "tt_depthwise_conv2d_order_dsp.h"
#include "tt_requantize_dsp.h"

#if defined(__ARM_FEATURE_SIMD32)

#define MOST_CLASSES 2

/* Along one axis: elements first, first + stride, ... of the input and their taps first_tap,
 * first_tap + stride, ... in reverse; the window of the first of them begins `lead` outputs before
 * the map. */
typedef struct {
    uint32_t first, count;
    uint32_t first_tap, taps;
    int32_t lead;
} class_of;

static class_of class_at(uint32_t k, uint32_t stride, uint32_t padding, uint32_t kernel,
                         uint32_t extent)
{
    const uint32_t first = (k + stride - padding % stride) % stride;
    const uint32_t count = first < extent ? (extent - first + stride - 1) / stride : 0;
    const uint32_t taps = k < kernel ? (kernel - k + stride - 1) / stride : 0;
    return (class_of){first, count, k, taps,
                      (int32_t)taps - 1 - (int32_t)((first + padding) / stride)};
}

/* How weights come into order: by tt_order_3x3 and so on, or by tt_view_order_dsp. */
typedef enum { ORDER_3X3, ORDER_5, ORDER_7, ORDER_UP_TO_5, ORDER_ANY } ordering;

/* A class of rows and a class of columns. */
typedef struct {
    tt_view view;
    ordering order;
    size_t begin; /* its first element in dx, of channel 0 */
    /* Of the strip in the planes. */
    uint32_t rows;
    tt_view_job job;
    tt_quad_rows_dsp quad_rows;
} part;

typedef struct {
    const tt_window *window;
    tt_rounding rounding;
    int32_t half; /* that sums begin with; 0 where tt_rows_round_dsp does not serve */
    size_t parts;
    part part[MOST_CLASSES * MOST_CLASSES];
    uint32_t all;  /* rows of the largest class */
    uint32_t most; /* of them in a strip */
    tt_planes planes;
    tt_planes_rows filled;
    int32_t *taps;
    int32_t *acc;
    tt_quad_dsp *table;
} gradient;

/* Sets the parts for planes in which the map begins at row `top` and column `left`. Returns the sum
 * of their kinds: the lower, the faster. */
static uint32_t view_parts(gradient *c, const class_of *rows, const class_of *columns, uint32_t top,
                           uint32_t left)
{
    const tt_window *window = c->window;
    uint32_t kinds = 0;
    c->parts = 0;
    for (uint32_t i = 0; i < (uint32_t)window->stride_h * window->stride_w; i++) {
        const class_of *row = &rows[i / window->stride_w];
        const class_of *column = &columns[i % window->stride_w];
        if (row->count == 0 || column->count == 0) {
            continue;
        }
        part *p = &c->part[c->parts++];
        /* The last tap of the class comes first. */
        const uint32_t kh = row->first_tap + (row->taps > 0 ? row->taps - 1 : 0) * window->stride_h;
        const uint32_t kw =
            column->first_tap + (column->taps > 0 ? column->taps - 1 : 0) * window->stride_w;
        p->view = (tt_view){.rows = row->count,
                            .columns = column->count,
                            .taps_h = row->taps,
                            .taps_w = column->taps,
                            .stride_h = 1,
                            .row = (uint32_t)((int32_t)top - row->lead),
                            .tap = (int32_t)(kh * window->kernel_w + kw),
                            .tap_down = -window->stride_h * window->kernel_w,
                            .tap_right = -window->stride_w};
        p->begin = ((size_t)row->first * window->in_w + column->first) * window->in_c;
        tt_view_choose_dsp(&p->view, 1, (uint32_t)((int32_t)left - column->lead));
        kinds += p->view.kind;
    }
    return kinds;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* Classes, planes and what the workspace holds, in this order: planes, weights in order, sums,
 * tables of the parts. The size is exact but for a map of 4x4. */
static void begin(gradient *c, const tt_window *window, const int8_t *g, void *workspace)
{
    class_of rows[MOST_CLASSES];
    class_of columns[MOST_CLASSES];
    int32_t top = 0;
    int32_t lead = 0;
    c->window = window;
    for (uint32_t k = 0; k < window->stride_h; k++) {
        rows[k] = class_at(k, window->stride_h, window->pad_top, window->kernel_h, window->in_h);
        top = rows[k].lead > top ? rows[k].lead : top;
    }
    for (uint32_t k = 0; k < window->stride_w; k++) {
        columns[k] =
            class_at(k, window->stride_w, window->pad_left, window->kernel_w, window->in_w);
        lead = columns[k].lead > lead ? columns[k].lead : lead;
    }
    uint32_t left = 2U + ((uint32_t)lead + 1) / 2 * 2;
    const uint32_t even = view_parts(c, rows, columns, (uint32_t)top, left);
    const uint32_t odd = view_parts(c, rows, columns, (uint32_t)top, left + 1);
    left += odd < even;
    view_parts(c, rows, columns, (uint32_t)top, left);
    /* Words before all windows are of no use. */
    uint32_t word = left / 2;
    for (size_t i = 0; i < c->parts; i++) {
        word = c->part[i].view.word < word ? c->part[i].view.word : word;
    }
    left -= 2 * word;

    uint32_t pitch = 0;
    uint32_t span = 0;
    uint32_t taps = 0;
    uint32_t quads = 0;
    uint32_t table = 0;
    const uint32_t unaligned = window->stride_w > 1;
    c->all = 0;
    for (size_t i = 0; i < c->parts; i++) {
        tt_view *view = &c->part[i].view;
        view->word -= word;
        c->all = larger(c->all, view->rows);
        pitch =
            larger(pitch, view->word + tt_view_words(view->columns, view->taps_w + unaligned, 1));
        span = larger(span, view->row + larger(view->taps_h, 1));
        taps = larger(taps, tt_taps_words(view->taps_h, view->taps_w));
        quads = larger(quads, tt_quads(view->columns));
        table += tt_quads(view->columns);
    }
    const int32_t row = (int32_t)(TT_PLANES * 4 * pitch);
    const int32_t more = row + (int32_t)(16 * quads + sizeof(tt_quad_dsp) * table);
    const int32_t rest = row * ((int32_t)span - 1) + 4 * (int32_t)taps;
    c->most = (uint32_t)tt_clamp_s32((TT_STRIP_BYTES_DSP - rest) / more, 1, (int32_t)c->all);
    uint32_t *planes = workspace;
    const uint32_t plane_rows = c->most + span - 1;
    c->planes = (tt_planes){.map = g,
                            .height = window->out_h,
                            .width = window->out_w,
                            .row_step = (uint32_t)window->out_w * window->out_c,
                            .step = window->out_c,
                            .top = (uint32_t)top,
                            .left = left,
                            .pitch = pitch,
                            .rows = plane_rows,
                            .planes = planes};
    c->taps = (int32_t *)(planes + (size_t)TT_PLANES * plane_rows * pitch);
    c->acc = c->taps + taps;
    c->table = (tt_quad_dsp *)(c->acc + (size_t)c->most * quads * 4);
    if (tt_map4_kind(window) >= 0) {
        c->part[0].view.kind = (tt_rows_kind)tt_map4_kind(window);
        tt_planes_map4(&c->planes);
    }
}

static ordering ordering_of(const tt_view *view)
{
    const int successive = view->tap_right == -1 && view->taps_h > 0;
    if (view->kind == TT_MAP4_3X3 || (view->kind == TT_ROWS_3X3_STRIDE1 && view->taps_w == 3)) {
        return ORDER_3X3;
    }
    if (view->kind == TT_MAP4_5X5 ||
        (view->kind == TT_ROWS_5_STRIDE1 && successive && view->taps_w == 5)) {
        return ORDER_5;
    }
    if (view->kind == TT_ROWS_7_STRIDE1 && successive && view->taps_w == 7) {
        return ORDER_7;
    }
    return view->kind == TT_ROWS_5_STRIDE1 && view->taps_h > 0 ? ORDER_UP_TO_5 : ORDER_ANY;
}

/* Makes ready for rows from `first` on of each class; rows of planes before `from` are filled. */
static void begin_strip(gradient *c, uint32_t first, uint32_t from)
{
    const tt_window *window = c->window;
    const size_t step = (size_t)window->stride_w * window->in_c;
    const size_t row_step = (size_t)window->stride_h * window->in_w * window->in_c;
    tt_quad_dsp *table = c->table;
    c->filled = tt_planes_rows_dsp(&c->planes, from);
    for (part *p = c->part; p != c->part + c->parts; p++) {
        p->order = ordering_of(&p->view);
        const uint32_t rest = p->view.rows > first ? p->view.rows - first : 0;
        p->rows = rest < c->most ? rest : c->most;
        if (p->rows > 0) {
            p->job = tt_view_begin_dsp(&p->view, &c->planes, first, p->rows, table);
            p->quad_rows = tt_quad_rows_of(p->view.columns, p->rows, step, row_step);
            table += p->rows * tt_quads(p->view.columns);
        }
    }
}

/* The weights of a channel in order, and what its sums begin with. */
static void order(const part *p, const int8_t *w, int32_t sum, int32_t *taps)
{
    const tt_view *view = &p->view;
    taps[0] = sum;
    switch (p->order) {
    case ORDER_3X3:
        tt_order_3x3(w + view->tap, view->tap_down, view->tap_right, taps + 1);
        break;
    case ORDER_5:
        tt_order_5(view->taps_h, w + view->tap, view->tap_down, -1, taps + 1);
        break;
    case ORDER_7:
        tt_order_7(view->taps_h, w + view->tap, view->tap_down, -1, taps + 1);
        break;
    case ORDER_UP_TO_5:
        tt_order_up_to_5(view, w + view->tap, taps + 1);
        break;
    case ORDER_ANY:
        tt_view_order_dsp(view, w, sum, taps);
        break;
    }
}

/* What is left of the rows of a part behind their whole quads. dx points to the first element. */
static void round_rest(gradient *c, const part *p, size_t done, int8_t *dx)
{
    const size_t step = (size_t)c->window->stride_w * c->window->in_c;
    const size_t row_step = (size_t)c->window->stride_h * c->window->in_w * c->window->in_c;
    const int32_t *acc = c->acc;
    for (uint32_t r = 0; r < p->rows;
         r++, acc += 4 * (size_t)tt_quads(p->view.columns), dx += row_step) {
        for (size_t i = done; i < p->view.columns; i++) {
            dx[i * step] = tt_rounded_s8(acc[i] - c->half, &c->rounding);
        }
    }
}

/* A part of the channels in the planes, from their weights w. dx points to the first element of
 * channel 0. */
static void part_of(gradient *c, const part *p, const uint16_t *channel, size_t channels,
                    const int8_t *w, int8_t *dx)
{
    const size_t area = (size_t)c->window->kernel_h * c->window->kernel_w;
    const size_t columns = p->view.columns;
    const size_t done = c->half != 0 ? columns & ~(size_t)3 : 0;
    const uint32_t *plane = c->planes.planes;
    for (size_t i = 0; i < channels; i++, w += area, plane += c->filled.plane) {
        int8_t *to = dx + channel[i];
        order(p, w, c->half, c->taps);
        tt_view_sum_dsp(&p->job, plane, c->taps, c->acc);
        if (done > 0) {
            tt_rows_round_dsp(&p->quad_rows, c->acc, to, &c->rounding);
        }
        if (done < columns) {
            round_rest(c, p, done, to);
        }
    }
}

static void channels_of(gradient *c, const uint16_t *channel, size_t channels,
                        const int16_t *factors, const int8_t *w, int8_t *dx)
{
    const tt_window *window = c->window;
    const tt_planes_values values = {factors, 0};
    const int whole = c->most == c->all;
    c->planes.strip = 0;
    for (uint32_t first = 0; first < c->all; first += c->most) {
        if (!whole) {
            begin_strip(c, first,
                        first == 0 ? 0 : tt_planes_advance_dsp(&c->planes, channels, c->most));
            tt_planes_outside_dsp(&c->planes, &c->filled, channels);
        }
        tt_planes_fill_dsp(&c->planes, &c->filled, channel, channels, &values);
        for (const part *p = c->part; p != c->part + c->parts; p++) {
            if (p->rows > 0) {
                part_of(c, p, channel, channels, w, dx + p->begin);
            }
        }
        dx += (size_t)c->most * window->stride_h * window->in_w * window->in_c;
    }
}

void tt_depthwise_conv2d_s8_grad_input_dsp(const tt_window *window, const int8_t *weights,
                                           const uint16_t *outputs, size_t count,
                                           const tt_factors *factors, const tt_rescale *rescale,
                                           const int8_t *g, int8_t *dx, void *workspace)
{
    gradient c = {.rounding = tt_rounding_begin_s8(rescale)};
    begin(&c, window, g, workspace);
    if (c.rounding.shift > 0 && c.rounding.shift <= 30) {
        c.half = 1 << (c.rounding.shift - 1);
    }
    tt_planes_clear_dsp(&c.planes);
    begin_strip(&c, 0, 0);
    for (size_t k = 0; k < count; k += TT_PLANES) {
        const size_t channels = count - k < TT_PLANES ? count - k : TT_PLANES;
        uint16_t channel[TT_PLANES];
        int16_t m[TT_PLANES] = {0};
        tt_planes_channels(outputs, k, channels, channel);
        for (size_t i = 0; i < channels; i++) {
            m[i] = factors->integer[channel[i]];
        }
        channels_of(&c, channel, channels, m, weights + k * window->kernel_h * window->kernel_w,
                    dx);
    }
    tt_rounding_end_s8(rescale, c.rounding);
}

#endif
