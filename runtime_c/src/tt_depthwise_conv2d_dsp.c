/* Forward depthwise convolution on a core with DSP instructions.
 *
 * Four channels at a time, a strip of rows of the map goes from NHWC to planes of s16 in the
 * workspace, centred and padded with 0. A channel's sums then take one instruction for two
 * multiplications, most loads being shared by four outputs, and no tap asks whether it is in the
 * map. Sums become outputs in a loop of their own.
 *
 * Strips go down a map of four channels; rows that two of them need stay in the planes. So a row is
 * read once, and y may be x where strides are 1 and no window lies above the map: a strip of
 * outputs ends no lower than the rows in the planes.
 */
#include "tt_depthwise_conv2d_order_dsp.h"
#include "tt_requantize_dsp.h"

#if defined(__ARM_FEATURE_SIMD32)

/* y[i * step], i < count, of output channel o: what no quad does. */
static void requantize(const tt_requant *requant, size_t o, const int32_t *acc, size_t count,
                       int8_t *y, size_t step)
{
    const int32_t m = requant->multiplier[o];
    const int high = requant->shift[o] == -1;
    for (size_t i = 0; i < count; i++, y += step) {
        if (high) {
            const int32_t value = tt_high_requantize_dsp(acc[i], m, requant->zero);
            *y = (int8_t)tt_clamp_s32(value, requant->lo, requant->hi);
        } else {
            *y = tt_requantize_s8(requant, o, acc[i]);
        }
    }
}

/* Whether the weights of each row are as many as order() expects for the kind. */
static int is_full(const tt_view *view)
{
    switch (view->kind) {
    case TT_ROWS_3X3_STRIDE1:
    case TT_ROWS_3X3_STRIDE2:
        return view->taps_w == 3;
    case TT_ROWS_5_STRIDE1:
        return view->taps_w == 5;
    case TT_MAP4_3X3:
    case TT_MAP4_5X5:
        return 1;
    case TT_ROWS_7_STRIDE1:
        return view->taps_w == 7;
    case TT_ROWS_8_STRIDE2:
        return view->taps_w == 7 && view->lead == 1;
    default:
        return 0;
    }
}

/* The weights of a channel in order, and its bias. */
static void order(const tt_view *view, int full, const int8_t *w, int32_t bias, int32_t *taps)
{
    taps[0] = bias;
    if (!full) {
        tt_view_order_dsp(view, w, bias, taps);
        return;
    }
    switch (view->kind) {
    case TT_ROWS_3X3_STRIDE1:
    case TT_MAP4_3X3:
        tt_order_3x3(w, 3, 1, taps + 1);
        break;
    case TT_ROWS_3X3_STRIDE2:
        tt_order_3x3_stride2(w, view->lead, taps + 1);
        break;
    case TT_ROWS_5_STRIDE1:
    case TT_MAP4_5X5:
        tt_order_5(view->taps_h, w, 5, 1, taps + 1);
        break;
    case TT_ROWS_7_STRIDE1:
        tt_order_7(view->taps_h, w, 7, 1, taps + 1);
        break;
    default:
        tt_order_7_stride2(view->taps_h, w, taps + 1);
        break;
    }
}

/* The view, and the column of planes where the map begins: even, unless a faster kind wants it
 * odd. */
static tt_view view_of(const tt_window *window, uint32_t *left)
{
    tt_view view = {.rows = window->out_h,
                    .columns = window->out_w,
                    .taps_h = window->kernel_h,
                    .taps_w = window->kernel_w,
                    .stride_h = window->stride_h,
                    .tap_down = window->kernel_w,
                    .tap_right = 1};
    if (tt_map4_kind(window) >= 0) {
        view.kind = (tt_rows_kind)tt_map4_kind(window);
        *left = 0;
        return view;
    }
    tt_view other = view;
    uint32_t column = 2U + window->pad_left % 2U;
    tt_view_choose_dsp(&view, window->stride_w, column);
    tt_view_choose_dsp(&other, window->stride_w, column + 1);
    if (other.kind < view.kind) {
        view = other;
        column++;
    }
    *left = window->pad_left + column - 2 * view.word;
    view.word = 0;
    return view;
}

typedef struct {
    const tt_window *window;
    const tt_requant *requant;
    const int32_t *bias;
    tt_view view;
    int full;      /* see is_full */
    int quads;     /* whether there are whole quads, and outputs are not clamped but to s8 */
    uint32_t most; /* rows of outputs in a strip */
    int32_t *taps;
    int32_t *acc;
    tt_quad_dsp *table;
    tt_planes planes;
    /* Of the strip in the planes. */
    uint32_t rows; /* of outputs */
    tt_planes_rows filled;
    tt_view_job job;
    tt_quad_rows_dsp quad_rows;
} conv;

/* Divides the workspace: planes, weights in order, sums, table of quads. The size is exact but for
 * a map of 4x4. */
static void divide(conv *c, const int8_t *x, uint32_t left, void *workspace)
{
    const tt_window *window = c->window;
    const uint32_t pitch = tt_view_words(window->out_w, window->kernel_w, window->stride_w);
    const uint32_t quads = tt_quads(window->out_w);
    const uint32_t taps = tt_taps_words(window->kernel_h, window->kernel_w);
    const int32_t row = (int32_t)(TT_PLANES * 4 * pitch);
    const int32_t more = row * window->stride_h + (int32_t)(quads * (16 + sizeof(tt_quad_dsp)));
    const int32_t rest = row * (window->kernel_h - window->stride_h) + 4 * (int32_t)taps;
    c->most = (uint32_t)tt_clamp_s32((TT_STRIP_BYTES_DSP - rest) / more, 1, window->out_h);
    const uint32_t rows = (c->most - 1) * window->stride_h + window->kernel_h;
    uint32_t *planes = workspace;
    c->taps = (int32_t *)(planes + (size_t)TT_PLANES * rows * pitch);
    c->acc = c->taps + taps;
    c->table = (tt_quad_dsp *)(c->acc + (size_t)c->most * quads * 4);
    c->planes = (tt_planes){.map = x,
                            .height = window->in_h,
                            .width = window->in_w,
                            .row_step = (uint32_t)window->in_w * window->in_c,
                            .step = window->in_c,
                            .top = window->pad_top,
                            .left = left,
                            .pitch = pitch,
                            .rows = rows,
                            .planes = planes};
    if (tt_map4_kind(window) >= 0) {
        tt_planes_map4(&c->planes);
    }
}

/* Makes ready for a strip of outputs from row `first` on; rows of planes before `from` are
 * filled. */
static void begin_strip(conv *c, uint32_t first, uint32_t from)
{
    const size_t step = c->window->out_c;
    const uint32_t left = c->view.rows - first;
    c->rows = left < c->most ? left : c->most;
    c->filled = tt_planes_rows_dsp(&c->planes, from);
    c->job = tt_view_begin_dsp(&c->view, &c->planes, first, c->rows, c->table);
    c->quad_rows = tt_quad_rows_of(c->view.columns, c->rows, step, c->view.columns * step);
}

/* The strip of output channel o, from weights w and a plane. y points to the first output. */
static void channel_of(const conv *c, size_t o, const int8_t *w, const uint32_t *plane, int8_t *y)
{
    const size_t columns = c->view.columns;
    order(&c->view, c->full, w, c->bias[o], c->taps);
    tt_view_sum_dsp(&c->job, plane, c->taps, c->acc);
    size_t done = 0;
    if (c->quads && c->requant->shift[o] == -1) {
        tt_rows_requantize_dsp(&c->quad_rows, c->acc, y, c->requant->multiplier[o],
                               c->requant->zero);
        done = columns & ~(size_t)3;
    }
    if (done < columns) {
        const size_t step = c->window->out_c;
        const int32_t *acc = c->acc + done;
        y += done * step;
        for (uint32_t r = 0; r < c->rows;
             r++, acc += 4 * (size_t)tt_quads(c->view.columns), y += columns * step) {
            requantize(c->requant, o, acc, columns - done, y, step);
        }
    }
}

static void channels_of(conv *c, const uint16_t *channel, size_t channels, const int8_t *w,
                        int8_t *y)
{
    const tt_window *window = c->window;
    const size_t area = (size_t)window->kernel_h * window->kernel_w;
    const tt_planes_values values = {NULL, c->requant->input_zero};
    const int whole = c->most == window->out_h;
    c->planes.strip = 0;
    for (uint32_t first = 0; first < window->out_h; first += c->most) {
        if (!whole) {
            const uint32_t ahead = c->most * window->stride_h;
            begin_strip(c, first,
                        first == 0 ? 0 : tt_planes_advance_dsp(&c->planes, channels, ahead));
            tt_planes_outside_dsp(&c->planes, &c->filled, channels);
        }
        tt_planes_fill_dsp(&c->planes, &c->filled, channel, channels, &values);
        const uint32_t *plane = c->planes.planes;
        for (size_t i = 0; i < channels; i++, plane += c->filled.plane) {
            channel_of(c, channel[i], w + i * area, plane, y + channel[i]);
        }
        y += (size_t)c->most * window->out_w * window->out_c;
    }
}

void tt_depthwise_conv2d_s8_dsp(const tt_window *window, const tt_requant *requant,
                                const int8_t *weights, const uint16_t *outputs, size_t count,
                                const int32_t *bias, const int8_t *x, int8_t *y, void *workspace)
{
    uint32_t left;
    conv c = {.window = window, .requant = requant, .bias = bias, .view = view_of(window, &left)};
    c.full = is_full(&c.view);
    c.quads = window->out_w >= 4 && requant->lo == INT8_MIN && requant->hi == INT8_MAX;
    divide(&c, x, left, workspace);
    tt_planes_clear_dsp(&c.planes);
    begin_strip(&c, 0, 0);
    for (size_t k = 0; k < count; k += TT_PLANES) {
        const size_t channels = count - k < TT_PLANES ? count - k : TT_PLANES;
        uint16_t channel[TT_PLANES];
        tt_planes_channels(outputs, k, channels, channel);
        channels_of(&c, channel, channels, weights + k * window->kernel_h * window->kernel_w, y);
    }
}

#endif
