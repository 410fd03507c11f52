/* Convolution and dense layers for MVE: forward. tt_conv2d.c is the reference.
 *
 * Raw inputs are multiplied, the zero point is taken out by bias[o] - zero * sum of w[o], and so a
 * tap in the padding is an input at the zero point. Workspace: the biases, the sums of a pair of
 * positions, a copy of weights that are in segments, and unless windows lie in the map as they are,
 * their inputs; the compiler's table has the formula. */
#include "tt_kernels_mve.h"

#if defined(__ARM_FEATURE_MVE)

#include "tt_conv2d_mac_mve.h"
#include "tt_conv2d_narrow_mve.h"
#include "tt_conv2d_pack_mve.h"
#include "tt_conv2d_pair_mve.h"

/* Bytes of weights of several segments that are joined to one. */
#define TT_JOINED_MVE 16384U

/* What stays the same for all positions. */
typedef struct {
    const tt_window *window;
    const tt_segment *segments;
    size_t segment_count;
    size_t outputs; /* of a group */
    size_t inputs;  /* of a group */
    size_t taps;
    tt_segment joined; /* all segments in one */
    int32_t *bias;     /* [out_c]: with the zero point taken out */
    int32_t *acc;      /* [outputs][2] */
    int8_t *row[2];    /* the inputs of a window, segment by segment, NULL where the map has them in
                          this order */
    tt_packing packing;
} tt_conv;

/* bias[o] -= zero * sum of w[o * count + j] over j < count. The loop of two rows is in assembly for
 * its tail predication, which compilers do not reach from intrinsics. */
static void take_out_zero(size_t outputs, size_t count, const int8_t *w, int32_t zero,
                          int32_t *bias)
{
    for (size_t o = 0; o < outputs; o += 2) {
        const size_t second = o + 1 < outputs;
        const int8_t *w0 = w;
        const int8_t *w1 = w + second * count;
        register int32_t sum0 __asm("r0") = 0;
        register int32_t sum1 __asm("r2") = 0;
        __asm volatile("dlstp.8 lr, %[count]\n"
                       "1:\n"
                       "vldrb.8 q0, [%[w0]], #16\n"
                       "vldrb.8 q1, [%[w1]], #16\n"
                       "vaddva.s8 %[sum0], q0\n"
                       "vaddva.s8 %[sum1], q1\n"
                       "letp lr, 1b\n"
                       : [w0] "+r"(w0), [w1] "+r"(w1), [sum0] "+r"(sum0), [sum1] "+r"(sum1)
                       : [count] "r"(count)
                       : "q0", "q1", "lr", "cc", "memory");
        bias[o] -= zero * sum0;
        if (second) {
            bias[o + 1] -= zero * sum1;
        }
        w += 2 * count;
    }
}

/* Nonzero if the row of inputs of every window, group and segment lies in the map in the order of
 * the weights. */
static int is_pointwise(const tt_window *window, const tt_segment *segments, size_t segment_count)
{
    return window->kernel_h == 1 && window->kernel_w == 1 && segment_count == 1 &&
           segments[0].channels == NULL && window->pad_top == 0 && window->pad_left == 0 &&
           (window->out_h - 1) * window->stride_h < window->in_h &&
           (window->out_w - 1) * window->stride_w < window->in_w;
}

/* Nonzero if the weights of all segments are worth a copy in the order of the map. */
static int is_joined(const tt_window *window, size_t segment_count)
{
    const size_t taps = (size_t)window->kernel_h * window->kernel_w;
    return segment_count > 1 && window->groups == 1 &&
           taps * window->in_c * window->out_c <= TT_JOINED_MVE;
}

/* Columns of a segment to their channels: to[rows][in_c]. In assembly for its predicate, which
 * serves a load and a store. */
static void join(const tt_segment *segment, size_t rows, size_t in_c, int8_t *to)
{
    for (size_t j = 0; j < segment->count; j += 8) {
        const uint32_t inside = (uint32_t)(segment->count - j);
        const uint16x8_t columns = vaddq_n_u16(vidupq_n_u16(0, 1), (uint16_t)j);
        const uint16x8_t channels = segment->channels == NULL
                                        ? columns
                                        : vldrhq_z_u16(segment->channels + j, vctp16q(inside));
        const int8_t *from = segment->weights + j;
        int8_t *row = to;
        __asm volatile("vctp.16 %[inside]\n"
                       "dls lr, %[rows]\n"
                       "1:\n"
                       "vpstt\n"
                       "vldrbt.s16 q0, [%[from]]\n"
                       "vstrbt.16 q0, [%[row], %q[channels]]\n"
                       "add %[from], %[from], %[count]\n"
                       "add %[row], %[row], %[in_c]\n"
                       "le lr, 1b\n"
                       : [from] "+l"(from), [row] "+r"(row)
                       : [inside] "r"(inside), [rows] "r"(rows), [channels] "w"(channels),
                         [count] "r"((size_t)segment->count), [in_c] "r"(in_c)
                       : "q0", "lr", "cc", "memory");
    }
}

static void begin(const tt_window *window, int8_t zero, const tt_segment *segments,
                  size_t segment_count, const int32_t *bias, void *workspace, tt_conv *conv)
{
    conv->window = window;
    conv->outputs = (size_t)window->out_c / window->groups;
    conv->inputs = (size_t)window->in_c / window->groups;
    conv->taps = (size_t)window->kernel_h * window->kernel_w;
    conv->bias = workspace;
    conv->acc = conv->bias + ((size_t)window->out_c + 3) / 4 * 4;
    int8_t *rest = (int8_t *)(conv->acc + (conv->outputs + 3) / 4 * 8);
    if (is_joined(window, segment_count)) {
        const size_t rows = conv->taps * window->out_c;
        for (size_t s = 0; s < segment_count; s++) {
            join(&segments[s], rows, window->in_c, rest);
        }
        conv->joined = (tt_segment){rest, NULL, window->in_c, 0};
        segments = &conv->joined;
        segment_count = 1;
        rest += (rows * window->in_c + 7) / 8 * 8;
    }
    conv->segments = segments;
    conv->segment_count = segment_count;
    conv->packing = tt_packing_of(window, segments, segment_count, zero);
    conv->row[0] = NULL;
    conv->row[1] = NULL;
    if (!is_pointwise(window, segments, segment_count)) {
        conv->row[0] = rest;
        /* short_layer has its own idea of this space. */
        conv->row[1] = rest + conv->taps * conv->inputs;
    }
    for (size_t o = 0; o < window->out_c; o += 4) {
        vstrwq_s32(conv->bias + o, vldrwq_z_s32(bias + o, vctp32q((uint32_t)(window->out_c - o))));
    }
    for (size_t s = 0; zero != 0 && s < segment_count; s++) {
        const size_t count = conv->taps * segments[s].count;
        if (count > 0) {
            take_out_zero(window->out_c, count, segments[s].weights, zero, conv->bias);
        }
    }
}

/* Sums of one group, from output o on, at a pair of positions. */
static void accumulate(const tt_conv *conv, const uint32_t oh[2], const uint32_t ow[2], size_t o,
                       const int8_t *x)
{
    const tt_window *window = conv->window;
    const int8_t *row[2] = {conv->row[0], conv->row[1]};
    x += o / conv->outputs * conv->inputs;
    for (size_t p = 0; p < 2; p++) {
        if (row[p] != NULL) {
            tt_pack_window_mve(&conv->packing, oh[p], ow[p], x, conv->row[p]);
        } else {
            const size_t column = (size_t)ow[p] * window->stride_w;
            row[p] = x + ((size_t)oh[p] * window->stride_h * window->in_w + column) * window->in_c;
        }
    }
    for (size_t s = 0; s < conv->segment_count; s++) {
        const size_t count = conv->taps * conv->segments[s].count;
        if (count == 0) {
            continue;
        }
        tt_mac_rows_mve(count, row[0], row[1], conv->segments[s].weights + o * count, conv->outputs,
                        s == 0, conv->acc);
        row[0] += count;
        row[1] += count;
    }
}

/* The row-major position after (oh, ow), or itself if it is the last. */
static int next(const tt_window *window, uint32_t *oh, uint32_t *ow)
{
    if (*ow + 1U < window->out_w) {
        *ow += 1;
        return 1;
    }
    if (*oh + 1U < window->out_h) {
        *oh += 1;
        *ow = 0;
        return 1;
    }
    return 0;
}

/* The kernels of narrow layers clamp to s8 only: the rest, where there is more to it. */
static void clamp_map(const tt_requant *requant, size_t size, int8_t *y)
{
    if (requant->lo == INT8_MIN && requant->hi == INT8_MAX) {
        return;
    }
    for (size_t i = 0; i < size; i += 16) {
        const mve_pred16_t inside = vctp8q((uint32_t)(size - i));
        const int8x16_t value = vmaxq_s8(vldrbq_z_s8(y + i, inside), vdupq_n_s8(requant->lo));
        vstrbq_p_s8(y + i, vminq_s8(value, vdupq_n_s8(requant->hi)), inside);
    }
}

/* Dense layers of 8 or 16 inputs; returns the positions done, 0 for other layers. */
static size_t narrow_layer(const tt_conv *conv, const tt_requant *requant, const int8_t *x,
                           int8_t *y)
{
    const size_t inputs = conv->inputs;
    const size_t out_c = conv->outputs;
    const size_t positions = (size_t)conv->window->out_h * conv->window->out_w / 2 * 2;
    if ((inputs != 8 && inputs != 16) || out_c % 4 != 0 || out_c + 3 > UINT16_MAX ||
        positions == 0) {
        return 0;
    }
    for (size_t o = 0; o < out_c; o += 4) {
        tt_narrow_rows rows;
        tt_set_narrow_rows(inputs, conv->segments[0].weights + o * inputs, conv->bias + o,
                           requant->multiplier + o, requant->zero, out_c, &rows);
        tt_narrow_positions(&rows, inputs, positions / 2, x, y + o);
    }
    clamp_map(requant, positions * out_c, y);
    return positions;
}

/* The window of every position is the next row of x. */
static int is_dense(const tt_conv *conv)
{
    const tt_window *window = conv->window;
    return conv->row[0] == NULL && window->groups == 1 && window->in_w == window->out_w &&
           (window->out_w == 1 || window->stride_w == 1) &&
           (window->out_h == 1 || window->stride_h == 1);
}

/* Dense layers from position `done` on, without a look at the geometry. */
static void dense_layer(const tt_conv *conv, const tt_pair *pair, size_t done, const int8_t *x,
                        int8_t *y)
{
    const size_t positions = (size_t)conv->window->out_h * conv->window->out_w;
    const size_t inputs = conv->inputs;
    const size_t outputs = conv->outputs;
    const int8_t *w = conv->segments[0].weights;
    const int is_one_slice = inputs <= 48 && outputs % 2 == 0;
    const tt_mac_slice slice = tt_first_slice(inputs, w, outputs, conv->acc);
    x += done * inputs;
    y += done * outputs;
    for (; done < positions; done += 2, x += 2 * inputs, y += 2 * outputs) {
        /* The last of an odd number is its own partner. */
        const size_t second = done + 1 < positions;
        const int8_t *x1 = x + second * inputs;
        if (is_one_slice) {
            tt_mac_slice_mve(&slice, x, x1);
        } else {
            tt_mac_rows_mve(inputs, x, x1, w, outputs, 1, conv->acc);
        }
        tt_requantize_pair(pair, y, y + second * outputs);
    }
}

/* Layers of one segment whose windows hold at most 32 inputs: a row of windows is packed, and then
 * passes by the weights of two outputs in registers. Returns 0 and does nothing for others. */
static int short_layer(const tt_conv *conv, const tt_requant *requant, const int8_t *x, int8_t *y)
{
    const tt_window *window = conv->window;
    const size_t count = conv->taps * conv->inputs;
    const size_t out_c = window->out_c;
    int8_t *panel = conv->row[0];
    if (panel == NULL || conv->segment_count != 1 || window->groups != 1 ||
        count > TT_SHORT_WINDOW || out_c % 2 != 0 || window->out_w < 2) {
        return 0;
    }
    tt_short_rows *rows =
        (tt_short_rows *)(void *)(panel + (size_t)window->out_w * TT_SHORT_WINDOW);
    for (size_t o = 0; o < out_c; o += 2) {
        tt_set_short_rows(count, conv->segments[0].weights + o * count, conv->bias + o,
                          requant->multiplier + o, (uint32_t)out_c, &rows[o / 2]);
        rows[o / 2].zero = requant->zero;
    }
    for (uint32_t oh = 0; oh < window->out_h; oh++, y += window->out_w * out_c) {
        tt_pack_panel_mve(&conv->packing, oh, x, panel);
        for (size_t o = 0; o < out_c; o += 2) {
            tt_short_windows(&rows[o / 2], window->out_w / 2U, panel, y + o);
            if (window->out_w % 2 != 0) {
                const size_t last = window->out_w - 2U;
                tt_short_windows(&rows[o / 2], 1, panel + last * TT_SHORT_WINDOW,
                                 y + last * out_c + o);
            }
        }
    }
    return 1;
}

void tt_conv2d_s8_mve(const tt_window *window, const tt_requant *requant,
                      const tt_segment *segments, size_t segment_count, const int32_t *bias,
                      const int8_t *x, int8_t *y, void *workspace, size_t workspace_bytes)
{
    (void)workspace_bytes;
    tt_conv conv;
    begin(window, requant->input_zero, segments, segment_count, bias, workspace, &conv);
    const int is_vector = tt_is_high_word(requant, 0, window->out_c);
    const int is_even = ((window->out_c | conv.outputs | (uintptr_t)y) & 1U) == 0;
    const size_t positions = (size_t)window->out_h * window->out_w;
    tt_pair pair;
    if (is_vector && is_dense(&conv)) {
        tt_set_pair(requant, 0, conv.outputs, conv.acc, conv.bias, is_even, &pair);
        dense_layer(&conv, &pair, narrow_layer(&conv, requant, x, y), x, y);
        return;
    }
    if (is_vector && short_layer(&conv, requant, x, y)) {
        clamp_map(requant, positions * window->out_c, y);
        return;
    }
    uint32_t oh[2] = {0, 0};
    uint32_t ow[2] = {0, 0};
    for (size_t done = 0; done < positions; done += 2, y += 2 * (size_t)window->out_c) {
        oh[1] = oh[0];
        ow[1] = ow[0];
        const size_t second = next(window, &oh[1], &ow[1]) ? window->out_c : 0;
        for (size_t o = 0; o < window->out_c; o += conv.outputs) {
            accumulate(&conv, oh, ow, o, x);
            tt_set_pair(requant, o, conv.outputs, conv.acc, conv.bias, is_even, &pair);
            if (is_vector) {
                tt_requantize_pair(&pair, y + o, y + second + o);
            } else {
                tt_requantize_pair_scalar(&pair, requant, o, y + o, y + second + o);
            }
        }
        oh[0] = oh[1];
        ow[0] = ow[1];
        (void)next(window, &oh[0], &ow[0]);
    }
}

void tt_conv2d_s8_s32_mve(const tt_window *window, const tt_requant *requant,
                          const tt_segment *segments, size_t segment_count, const int32_t *bias,
                          const int8_t *x, int32_t *y, void *workspace, size_t workspace_bytes)
{
    (void)workspace_bytes;
    tt_conv conv;
    begin(window, requant->input_zero, segments, segment_count, bias, workspace, &conv);
    const size_t positions = (size_t)window->out_h * window->out_w;
    uint32_t oh[2] = {0, 0};
    uint32_t ow[2] = {0, 0};
    for (size_t done = 0; done < positions; done += 2, y += 2 * (size_t)window->out_c) {
        oh[1] = oh[0];
        ow[1] = ow[0];
        const size_t second = next(window, &oh[1], &ow[1]) ? window->out_c : 0;
        for (size_t o = 0; o < window->out_c; o += conv.outputs) {
            accumulate(&conv, oh, ow, o, x);
            for (size_t k = o; k < o + conv.outputs; k++) {
                y[k] = conv.acc[2 * (k - o)] + conv.bias[k];
                y[second + k] = conv.acc[2 * (k - o) + 1] + conv.bias[k];
            }
        }
        oh[0] = oh[1];
        ow[0] = ow[1];
        (void)next(window, &oh[0], &ow[0]);
    }
}

#endif
