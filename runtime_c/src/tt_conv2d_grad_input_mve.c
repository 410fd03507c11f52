/* Gradient of the input of convolutions and dense layers for MVE. tt_conv2d_grad.inc.h is the
 * reference.
 *
 * Gradients with their factors become a panel of s16, eight output channels at a time. For six
 * columns of a segment the weights of eight output channels, which lie rows apart, come by gather
 * loads into registers, and the positions pass by: one load and six VMLADAVA of eight products
 * each. */
#include "tt_kernels_mve.h"

#if defined(__ARM_FEATURE_MVE)

#include "tt_columns_mve.h"
#include "tt_gradient_mve.h"
#include "tt_window.h"

enum { TT_POSITIONS_MVE = 32 /* of a pointwise layer that are in the panel at a time, at most */ };

/* A layer on its way. */
typedef struct {
    const tt_window *window;
    size_t most;    /* positions of a pointwise layer that are in the panel at a time */
    size_t outputs; /* of a group */
    size_t inputs;  /* of a group */
    int32_t (*acc)[TT_RUN_COLUMNS]; /* [positions, rounded up to fours] */
    int16_t *panel;                 /* [outputs / 8, rounded up][positions][8] */
    tt_rounding rounding;
    tt_target target;
    const int8_t *dx;
    int32_t *slices; /* sums to which slices of the outputs add; NULL where dx is written */
} tt_input_gradient;

/* Channel of column j of a segment. */
static inline size_t channel_of(const tt_segment *segment, size_t j)
{
    return segment->channels == NULL ? j : segment->channels[j];
}

/* Where six columns go from four positions on. 16-bit lane i of a pair of vectors is lane i / 2 of
 * vector i % 2. */
static void set_target(const tt_window *window, const size_t channel[TT_RUN_COLUMNS],
                       tt_target *target)
{
    size_t k = 0;
    size_t p = 0;
    for (size_t i = 0; i < 4 * TT_RUN_COLUMNS; i++) {
        target->to[i / 8 * 8 + i % 4 * 2 + i / 4 % 2] = (uint16_t)(p + channel[k]);
        k++;
        if (k == TT_RUN_COLUMNS) {
            k = 0;
            p += window->in_c;
        }
    }
}

/* Adds acc[count][6] to the sums of slices, each column once: the first ones of the last block
 * may be those of the block before, and where a segment has less than six columns the last is
 * repeated. */
static void add_columns(const tt_input_gradient *layer, const tt_segment *segment, size_t first,
                        size_t count, size_t at)
{
    const size_t begin = (first + TT_RUN_COLUMNS - 1) / TT_RUN_COLUMNS * TT_RUN_COLUMNS - first;
    const size_t left = segment->count - first;
    for (size_t k = begin; k < TT_RUN_COLUMNS && k < left; k++) {
        int32_t *to = layer->slices + at + channel_of(segment, first + k);
        for (size_t p = 0; p < count; p++, to += layer->window->in_c) {
            *to += layer->acc[p][k];
        }
    }
}

/* Rounds acc[count][6], columns first to first + 5 of a segment, the last repeated where there are
 * less. dx points to the first position and the group. layer->target is that of the columns 0 to 5
 * of a segment without channels. */
static void round_columns(tt_input_gradient *layer, const tt_segment *segment, size_t first,
                          size_t count, int8_t *dx)
{
    if (layer->slices != NULL) {
        add_columns(layer, segment, first, count, (size_t)(dx - layer->dx));
        return;
    }
    const size_t in_c = layer->window->in_c;
    const size_t last = segment->count - 1U;
    const int is_vector = tt_is_vector_shift(layer->rounding.shift) && count >= 4;
    if (is_vector && segment->channels == NULL && segment->count >= TT_RUN_COLUMNS) {
        dx += first;
    } else {
        size_t channel[TT_RUN_COLUMNS];
        for (size_t k = 0; k < TT_RUN_COLUMNS; k++) {
            channel[k] = channel_of(segment, first + k < last ? first + k : last);
        }
        if (!is_vector) {
            for (size_t p = 0; p < count; p++) {
                for (size_t k = 0; k < TT_RUN_COLUMNS; k++) {
                    dx[p * in_c + channel[k]] = tt_rounded_s8(layer->acc[p][k], &layer->rounding);
                }
            }
            return;
        }
        set_target(layer->window, channel, &layer->target);
    }
    const int32_t shift = layer->rounding.shift;
    int32_t peak = layer->rounding.peak;
    peak = tt_round_fours_mve(&layer->target, count / 4, *layer->acc, shift, peak, 4 * in_c, dx);
    if (count % 4 != 0) {
        /* The last four once more, some of them for the second time. */
        const size_t done = count - 4;
        peak = tt_round_fours_mve(&layer->target, 1, layer->acc[done], shift, peak, 0,
                                  dx + done * in_c);
    }
    layer->rounding.peak = peak;
}

/* Before the blocks of columns of a segment. */
static void begin_segment(tt_input_gradient *layer, const tt_segment *segment)
{
    static const size_t channel[TT_RUN_COLUMNS] = {0, 1, 2, 3, 4, 5};
    if (segment->channels == NULL && segment->count >= TT_RUN_COLUMNS) {
        set_target(layer->window, channel, &layer->target);
    }
}

/* The panel of `count` positions; g points to the first of them and the group, factors to the
 * group. */
static void make_panel(const tt_input_gradient *layer, size_t count, const int8_t *g,
                       const int16_t *factors)
{
    int16_t *to = layer->panel;
    for (size_t o = 0; o < layer->outputs; o += TT_RUN_LANES, to += count * TT_RUN_LANES) {
        tt_factored_panel(count, g + o, layer->window->out_c, factors + o,
                          (uint32_t)(layer->outputs - o), to);
    }
}

/* What all runs of a block of columns share; panel: positions in the panel. */
static void begin_run(const tt_input_gradient *layer, const tt_segment *segment, size_t first,
                      tt_run *run)
{
    const size_t taps = (size_t)layer->window->kernel_h * layer->window->kernel_w;
    const size_t row = taps * tt_row_step(segment);
    for (uint32_t k = 0; k < TT_RUN_COLUMNS; k++) {
        const size_t j = first + k;
        run->column[k] = (uint32_t)(j < segment->count ? j : segment->count - 1U);
    }
    for (uint32_t i = 0; i < TT_RUN_LANES; i++) {
        run->rows[i] = (uint16_t)(i * row);
    }
    run->w_step = TT_RUN_LANES * row;
}

/* Up to a multiple of four positions, which the workspace holds. nano.specs' memset goes byte by
 * byte. */
static void clear_sums(int32_t *acc, size_t positions)
{
    const int32x4_t zero = vdupq_n_s32(0);
    for (size_t p = 0; p < positions; p += 4, acc += 4 * TT_RUN_COLUMNS) {
        vstrwq_s32(acc, zero);
        vstrwq_s32(acc + 4, zero);
        vstrwq_s32(acc + 8, zero);
        vstrwq_s32(acc + 12, zero);
        vstrwq_s32(acc + 16, zero);
        vstrwq_s32(acc + 20, zero);
    }
}

/* The next block of columns after `first`: the last block may overlap the one before. */
static size_t next_columns(const tt_segment *segment, size_t first)
{
    const size_t next = first + TT_RUN_COLUMNS;
    const size_t count = segment->count;
    if (next >= count || next + TT_RUN_COLUMNS <= count) {
        return next;
    }
    return count - TT_RUN_COLUMNS;
}

/* One group of a layer whose windows are the positions of the map one by one. */
static void pointwise_group(tt_input_gradient *layer, const tt_segment *segments,
                            size_t segment_count, size_t group, const int16_t *factors,
                            const int8_t *g, int8_t *dx)
{
    const tt_window *window = layer->window;
    const size_t positions = (size_t)window->in_h * window->in_w;
    for (size_t p = 0; p < positions; p += layer->most) {
        const size_t count = positions - p < layer->most ? positions - p : layer->most;
        make_panel(layer, count, g + p * window->out_c, factors);
        for (size_t s = 0; s < segment_count; s++) {
            const tt_segment *segment = &segments[s];
            const int8_t *w = segment->weights + group * layer->outputs * segment->count;
            begin_segment(layer, segment);
            for (size_t j = 0; j < segment->count; j = next_columns(segment, j)) {
                tt_run run = {.count = count,
                              .acc_step = sizeof(int32_t[TT_RUN_COLUMNS]),
                              .g_step = 0,
                              .acc = layer->acc};
                begin_run(layer, segment, j, &run);
                clear_sums(*layer->acc, count);
                tt_add_columns_mve(&run, (int32_t)layer->outputs, w, layer->panel);
                round_columns(layer, segment, j, count, dx + p * window->in_c);
            }
        }
    }
}

/* Adds what tap (kh, kw) brings to row ih of dx: output columns [begin, end) reach it. */
static void add_tap(const tt_input_gradient *layer, const tt_segment *segment, const int8_t *w,
                    uint32_t kh, uint32_t kw, size_t oh, tt_run *run)
{
    const tt_window *window = layer->window;
    const int32_t stride = window->stride_w;
    /* Output column ow reaches input column ow * stride - back. */
    const int32_t back = window->pad_left - (int32_t)(kw * window->dilation_w);
    const int32_t begin = back > 0 ? (back + stride - 1) / stride : 0;
    const int32_t reach = window->in_w - 1 + back;
    const int32_t most = reach < 0 ? 0 : reach / stride + 1;
    const int32_t end = most < window->out_w ? most : window->out_w;
    if (begin >= end) {
        return;
    }
    const size_t positions = (size_t)window->out_h * window->out_w;
    const size_t tap = (size_t)kh * window->kernel_w + kw;
    run->count = (size_t)(end - begin);
    run->g_step = (positions - run->count) * sizeof(int16_t[TT_RUN_LANES]);
    run->acc = layer->acc + (begin * stride - back);
    tt_add_columns_mve(run, (int32_t)layer->outputs, w + tap * tt_row_step(segment),
                       layer->panel + (oh * window->out_w + (size_t)begin) * TT_RUN_LANES);
}

/* One group of any layer, row by row of dx. */
static void window_group(tt_input_gradient *layer, const tt_segment *segments, size_t segment_count,
                         size_t group, const int16_t *factors, const int8_t *g, int8_t *dx)
{
    const tt_window *window = layer->window;
    const size_t taps = (size_t)window->kernel_h * window->kernel_w;
    make_panel(layer, (size_t)window->out_h * window->out_w, g, factors);
    for (uint32_t ih = 0; ih < window->in_h; ih++, dx += (size_t)window->in_w * window->in_c) {
        for (size_t s = 0; s < segment_count; s++) {
            const tt_segment *segment = &segments[s];
            const int8_t *w = segment->weights + group * layer->outputs * taps * segment->count;
            begin_segment(layer, segment);
            for (size_t j = 0; j < segment->count; j = next_columns(segment, j)) {
                tt_run run = {.acc_step = window->stride_w * sizeof(int32_t[TT_RUN_COLUMNS])};
                begin_run(layer, segment, j, &run);
                clear_sums(*layer->acc, window->in_w);
                for (uint32_t kh = 0; kh < window->kernel_h; kh++) {
                    const int32_t oh = tt_output_row(window, ih, kh);
                    for (uint32_t kw = 0; oh >= 0 && kw < window->kernel_w; kw++) {
                        add_tap(layer, segment, w, kh, kw, (size_t)oh, &run);
                    }
                }
                round_columns(layer, segment, j, window->in_w, dx);
            }
        }
    }
}

/* Gathers and scatters reach 64 KB. */
static int is_near(const tt_window *window, const tt_segment *segments, size_t segment_count)
{
    const size_t taps = (size_t)window->kernel_h * window->kernel_w;
    for (size_t s = 0; s < segment_count; s++) {
        if ((TT_RUN_LANES - 1) * taps * tt_row_step(&segments[s]) > UINT16_MAX) {
            return 0;
        }
    }
    return 4 * (size_t)window->in_c <= UINT16_MAX;
}

static int is_pointwise(const tt_window *window)
{
    return window->kernel_h == 1 && window->kernel_w == 1 && window->pad_top == 0 &&
           window->pad_left == 0 && window->in_h == window->out_h &&
           window->in_w == window->out_w && (window->stride_h == 1 || window->in_h == 1) &&
           (window->stride_w == 1 || window->in_w == 1);
}

/* Of a map whose windows are its positions: as many as a panel and sums in `workspace_bytes` serve,
 * in fours unless all. */
static size_t positions_at_once(size_t positions, size_t outputs, size_t workspace_bytes)
{
    const size_t panel =
        (outputs + TT_RUN_LANES - 1) / TT_RUN_LANES * sizeof(int16_t[TT_RUN_LANES]);
    const size_t fours = workspace_bytes / (4 * (panel + sizeof(int32_t[TT_RUN_COLUMNS])));
    const size_t most = positions < TT_POSITIONS_MVE ? positions : TT_POSITIONS_MVE;
    const size_t whole = (most + 3) / 4 * 4 * sizeof(int32_t[TT_RUN_COLUMNS]) + most * panel;
    return workspace_bytes >= whole ? most : 4 * fours;
}

void tt_conv2d_s8_grad_input_mve(const tt_window *window, const tt_segment *segments,
                                 size_t segment_count, const tt_factors *factors,
                                 const tt_rescale *rescale, const int8_t *g, int8_t *dx,
                                 void *workspace, size_t workspace_bytes)
{
    if (!is_near(window, segments, segment_count)) {
        tt_conv2d_s8_grad_input(window, segments, segment_count, factors, rescale, g, dx, workspace,
                                workspace_bytes);
        return;
    }
    const int is_simple = is_pointwise(window);
    const size_t positions = (size_t)window->in_h * window->in_w;
    const size_t outputs = (size_t)window->out_c / window->groups;
    const size_t most = positions_at_once(positions, outputs, workspace_bytes);
    const size_t sums = is_simple ? most : window->in_w;
    tt_input_gradient layer = {.window = window,
                               .most = most,
                               .outputs = outputs,
                               .inputs = (size_t)window->in_c / window->groups,
                               .acc = workspace,
                               .rounding = tt_rounding_begin_s8(rescale),
                               .dx = dx,
                               .slices = rescale->sums};
    layer.panel = (int16_t *)(void *)(layer.acc + (sums + 3) / 4 * 4);
    vstrwq_s32(layer.target.left, vdupq_n_s32(31 - layer.rounding.shift));
    vstrbq_s8(layer.target.lowest, vdupq_n_s8(-INT8_MAX));
    for (size_t group = 0; group < window->groups; group++) {
        const int16_t *group_factors = factors->integer + group * layer.outputs;
        const int8_t *group_g = g + group * layer.outputs;
        int8_t *group_dx = dx + group * layer.inputs;
        if (is_simple) {
            pointwise_group(&layer, segments, segment_count, group, group_factors, group_g,
                            group_dx);
        } else {
            window_group(&layer, segments, segment_count, group, group_factors, group_g, group_dx);
        }
    }
    tt_rounding_end_s8(rescale, layer.rounding);
}

#endif
