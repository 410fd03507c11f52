/* Convolution and dense layers: forward, and both gradients. */
#include "tt_gradient.h"
#include "tt_rows.h"
#include "tt_sgd.h"
#include "tt_tile.h"
#include "tt_window.h"

static size_t taps_of(const tt_window *window)
{
    return (size_t)window->kernel_h * window->kernel_w;
}

/* Whether each output reads one element of the map, none of them in the padding. */
static int is_pointwise(const tt_window *window)
{
    return taps_of(window) == 1 && window->pad_top == 0 && window->pad_left == 0 &&
           (uint32_t)(window->out_h - 1) * window->stride_h < window->in_h &&
           (uint32_t)(window->out_w - 1) * window->stride_w < window->in_w;
}

/* `count` operands of one position, `step` apart, for taps outside the map; returns where the next
 * one goes. */
static tt_operand *put_absent(tt_operand *to, size_t step, size_t count)
{
    for (; count > 0; count--, to += step) {
        *to = 0;
    }
    return to;
}

/* The same for `count` inputs from x on, or for those that `channels` lists. */
static tt_operand *put_present(tt_operand *to, size_t step, size_t count, const uint16_t *channels,
                               const int8_t *x, int32_t zero)
{
    if (channels == NULL && step == 1) {
        for (size_t j = 0; j < count; j++) {
            to[j] = (tt_operand)(x[j] - zero);
        }
        return to + count;
    }
    if (channels != NULL) {
        for (size_t j = 0; j < count; j++, to += step) {
            *to = (tt_operand)(x[channels[j]] - zero);
        }
        return to;
    }
    for (; count >= 2; count -= 2, x += 2, to += 2 * step) {
        to[0] = (tt_operand)(x[0] - zero);
        to[step] = (tt_operand)(x[1] - zero);
    }
    if (count != 0) {
        *to = (tt_operand)(*x - zero);
        to += step;
    }
    return to;
}

/* The operands of one position for one segment, [kernel_h][kernel_w][count]; x points to the first
 * channel of a group in the map. */
static tt_operand *put_window(const tt_window *window, const tt_segment *segment, tt_taps rows,
                              tt_taps columns, const int8_t *x, int32_t zero, tt_operand *to,
                              size_t step)
{
    const size_t count = segment->count;
    /* Neighbouring taps of a row are neighbours in memory too: one long run. */
    const int whole_rows =
        segment->channels == NULL && count == window->in_c && window->dilation_w == 1;
    const uint32_t run = whole_rows ? columns.end - columns.begin : 1;
    for (uint32_t kh = 0; kh < window->kernel_h; kh++) {
        if (kh < rows.begin || kh >= rows.end) {
            to = put_absent(to, step, window->kernel_w * count);
            continue;
        }
        to = put_absent(to, step, columns.begin * count);
        for (uint32_t kw = columns.begin; kw < columns.end; kw += run) {
            const int8_t *element = x + tt_tap_offset(window, rows, columns, kh, kw);
            to = put_present(to, step, run * count, segment->channels, element, zero);
        }
        to = put_absent(to, step, (window->kernel_w - columns.end) * count);
    }
    return to;
}

/* One call of a forward kernel: y or sums is NULL. */
typedef struct {
    const tt_window *window;
    const tt_requant *requant;
    const tt_segment *segments;
    size_t segment_count;
    const int32_t *bias;
    const int8_t *x;
    int8_t *y;
    int32_t *sums;
    tt_operand *tile;
    size_t taps;
    int is_pointwise;
    size_t workspace_bytes;
} forward_call;

/* Fills the tile with `positions` positions of a group, (oh, ow) being the first, to be left behind
 * the last. */
static void fill_tile(const forward_call *call, size_t group, size_t positions, size_t depth,
                      uint32_t *oh, uint32_t *ow)
{
    const tt_window *window = call->window;
    const int8_t *x = call->x + group * (window->in_c / window->groups);
    const int32_t zero = call->requant->input_zero;
    const size_t step = tt_operand_step(positions);
    for (size_t p = 0; p < positions; p++) {
        tt_operand *to = call->tile + p * tt_position_step(depth);
        if (call->is_pointwise) {
            const size_t element =
                (size_t)*oh * window->stride_h * window->in_w + *ow * window->stride_w;
            for (size_t s = 0; s < call->segment_count; s++) {
                to = put_present(to, step, call->segments[s].count, call->segments[s].channels,
                                 x + element * window->in_c, zero);
            }
        } else {
            const tt_taps rows = tt_rows_at(window, *oh);
            const tt_taps columns = tt_columns_at(window, *ow);
            for (size_t s = 0; s < call->segment_count; s++) {
                to = put_window(window, &call->segments[s], rows, columns, x, zero, to, step);
            }
        }
        *ow += 1;
        if (*ow == window->out_w) {
            *ow = 0;
            *oh += 1;
        }
    }
}

/* Output channels that are served in one go: their accumulators lie on the stack. */
#define CHANNELS 16U

/* Accumulators of output channels [o, o + rows), acc[rows][positions]: at most 32,768 products
 * below 2^15 and a bias within 2^30, below 2^31. */
static void accumulate(const forward_call *call, size_t positions, size_t depth, size_t o,
                       size_t rows, int32_t *acc)
{
    const int32_t *bias = call->bias + o;
    const tt_operand *x = call->tile;
    for (size_t s = 0; s < call->segment_count; s++) {
        const size_t count = call->taps * call->segments[s].count;
        const int8_t *w = call->segments[s].weights + o * count;
        if (positions == 1) {
            tt_one_position(count, x, rows, w, bias, acc);
        } else {
            tt_four_positions(count, depth, x, rows, w, bias, acc);
        }
        x += count * tt_operand_step(positions);
        bias = NULL;
    }
}

/* Output channels [o, end) at the positions of the tile, the first of them being number `first`. */
static void serve_tile(const forward_call *call, size_t first, size_t positions, size_t depth,
                       size_t o, size_t end)
{
    const size_t outputs = call->window->out_c;
    for (; o < end; o += CHANNELS) {
        const size_t rows = end - o < CHANNELS ? end - o : CHANNELS;
        int32_t acc[CHANNELS * TT_POSITIONS];
        accumulate(call, positions, depth, o, rows, acc);
        if (call->y != NULL) {
            tt_requantize_rows(call->requant, o, rows, positions, acc,
                               call->y + first * outputs + o, outputs);
            continue;
        }
        for (size_t i = 0; i < rows * positions; i++) {
            call->sums[(first + i % positions) * outputs + o + i / positions] = acc[i];
        }
    }
}

static void convolve(const forward_call *call)
{
    const tt_window *window = call->window;
    const size_t depth = call->taps * (window->in_c / window->groups);
    const size_t all = (size_t)window->out_h * window->out_w;
    const size_t outputs = window->out_c / window->groups;
    const size_t most =
        call->workspace_bytes < TT_POSITIONS * depth * sizeof(int32_t) ? 1 : TT_POSITIONS;
    for (size_t group = 0; group < window->groups; group++) {
        uint32_t oh = 0;
        uint32_t ow = 0;
        for (size_t first = 0; first < all;) {
            const size_t positions = all - first < TT_POSITIONS ? 1 : most;
            fill_tile(call, group, positions, depth, &oh, &ow);
            serve_tile(call, first, positions, depth, group * outputs, (group + 1) * outputs);
            first += positions;
        }
    }
}

void tt_conv2d_s8(const tt_window *window, const tt_requant *requant, const tt_segment *segments,
                  size_t segment_count, const int32_t *bias, const int8_t *x, int8_t *y,
                  void *workspace, size_t workspace_bytes)
{
    convolve(&(forward_call){window, requant, segments, segment_count, bias, x, y, NULL, workspace,
                             taps_of(window), is_pointwise(window), workspace_bytes});
}

void tt_conv2d_s8_s32(const tt_window *window, const tt_requant *requant,
                      const tt_segment *segments, size_t segment_count, const int32_t *bias,
                      const int8_t *x, int32_t *y, void *workspace, size_t workspace_bytes)
{
    convolve(&(forward_call){window, requant, segments, segment_count, bias, x, NULL, y, workspace,
                             taps_of(window), is_pointwise(window), workspace_bytes});
}

/* Where each input is read by one output alone, a map is as good as one row: no tile ends early. */
static tt_window flattened(const tt_window *window)
{
    tt_window flat = *window;
    const uint32_t elements = (uint32_t)window->in_h * window->in_w;
    const int is_same_map = window->in_h == window->out_h && window->in_w == window->out_w;
    const int is_dense = window->stride_h == 1 && window->stride_w == 1;
    if (is_pointwise(window) && is_same_map && is_dense && elements <= UINT16_MAX) {
        flat.in_h = flat.out_h = 1;
        flat.in_w = flat.out_w = (uint16_t)elements;
    }
    return flat;
}

/* Products of a weight's gradient that are collected before they are added up. */
#define PAIRS 64U

/* Rows of weights that an input gradient lists at a time at least; fewer would take longer to list
 * than to multiply. */
#define TT_FEW_ROWS 16U

#define TT_BODY "tt_conv2d_grad.inc.h"
#include "tt_each_dtype.inc.h"
