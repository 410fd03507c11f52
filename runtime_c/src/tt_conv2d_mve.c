/* Convolution and dense layers for MVE: forward. tt_conv2d.c is the reference.
 *
 * Raw inputs are multiplied, the zero point is taken out by bias[o] - zero * sum of w[o], and so a tap in the padding
 * is an input at the zero point. Scratch: the biases and the sums of a pair of positions, and unless windows lie in
 * the map as they are, their inputs; tinytrain's table of kernels has the formula. */
#include "tt_kernels_mve.h"

#if defined(__ARM_FEATURE_MVE)

#include "tt_conv2d_mac_mve.h"
#include "tt_conv2d_narrow_mve.h"
#include "tt_requantize_mve.h"
#include "tt_window.h"

/* What stays the same for all positions. */
typedef struct {
    const tt_window *window;
    const tt_segment *segments;
    size_t segment_count;
    size_t outputs; /* of a group */
    size_t inputs;  /* of a group */
    size_t taps;
    int32_t *bias;  /* [out_c]: with the zero point taken out */
    int32_t *acc;   /* [outputs][2] */
    int8_t *row[2]; /* the inputs of a window, segment by segment, NULL where the map has them in this order */
    int8_t zero;
    int is_block;   /* a window inside the map is a block of it */
} tt_conv;

/* bias[o] -= zero * sum of w[o * count + j] over j < count. The loop of two rows is in assembly for its tail
 * predication, which compilers do not reach from intrinsics. */
static void take_out_zero(size_t outputs, size_t count, const int8_t *w, int32_t zero, int32_t *bias)
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

/* Nonzero if the row of inputs of every window, group and segment lies in the map in the order of the weights. */
static int is_pointwise(const tt_window *window, const tt_segment *segments, size_t segment_count)
{
    return window->kernel_h == 1 && window->kernel_w == 1 && segment_count == 1 && segments[0].channels == NULL &&
           window->pad_top == 0 && window->pad_left == 0 &&
           (window->out_h - 1) * window->stride_h < window->in_h &&
           (window->out_w - 1) * window->stride_w < window->in_w;
}

static tt_conv begin(const tt_window *window, int8_t zero, const tt_segment *segments, size_t segment_count,
                     const int32_t *bias, void *scratch)
{
    tt_conv conv = {window, segments, segment_count, 0, 0, 0, scratch, NULL, {NULL, NULL}, zero, 0};
    conv.outputs = (size_t)window->out_c / window->groups;
    conv.inputs = (size_t)window->in_c / window->groups;
    conv.taps = (size_t)window->kernel_h * window->kernel_w;
    conv.acc = conv.bias + ((size_t)window->out_c + 3) / 4 * 4;
    if (!is_pointwise(window, segments, segment_count)) {
        conv.row[0] = (int8_t *)(conv.acc + (conv.outputs + 3) / 4 * 8);
        conv.row[1] = conv.row[0] + conv.taps * conv.inputs; /* short_layer has its own idea of this space */
    }
    conv.is_block = segment_count == 1 && segments[0].channels == NULL && window->groups == 1 && window->dilation_w == 1;
    for (size_t o = 0; o < window->out_c; o += 4) {
        vstrwq_s32(conv.bias + o, vldrwq_z_s32(bias + o, vctp32q((uint32_t)(window->out_c - o))));
    }
    for (size_t s = 0; zero != 0 && s < segment_count; s++) {
        const size_t count = conv.taps * segments[s].count;
        if (count > 0) {
            take_out_zero(window->out_c, count, segments[s].weights, zero, conv.bias);
        }
    }
    return conv;
}

static int8_t *copy(int8_t *to, const int8_t *from, size_t count)
{
    for (size_t j = 0; j < count; j += 16) {
        const mve_pred16_t inside = vctp8q((uint32_t)(count - j));
        vstrbq_p_s8(to + j, vldrbq_z_s8(from + j, inside), inside);
    }
    return to + count;
}

static int8_t *fill(int8_t *to, int8_t value, size_t count)
{
    for (size_t j = 0; j < count; j += 16) {
        vstrbq_p_s8(to + j, vdupq_n_s8(value), vctp8q((uint32_t)(count - j)));
    }
    return to + count;
}

/* Channels of one tap; from points to the first channel of the group. */
static int8_t *copy_tap(int8_t *to, const tt_segment *segment, const int8_t *from)
{
    if (segment->channels == NULL) {
        return copy(to, from, segment->count);
    }
    for (size_t j = 0; j < segment->count; j += 8) {
        const mve_pred16_t inside = vctp16q((uint32_t)(segment->count - j));
        const uint16x8_t channels = vldrhq_z_u16(segment->channels + j, inside);
        vstrbq_p_s16(to + j, vldrbq_gather_offset_z_s16(from, channels, inside), inside);
    }
    return to + segment->count;
}

/* The inputs of one row of a window that segment and group read; row is that row of the map, at the first channel of
 * the group, NULL outside the map. */
static int8_t *pack_row(const tt_conv *conv, const tt_segment *segment, tt_taps columns, int8_t *to, const int8_t *row)
{
    const tt_window *window = conv->window;
    const size_t count = segment->count;
    if (row == NULL || columns.begin == columns.end) {
        return fill(to, conv->zero, window->kernel_w * count);
    }
    row += (columns.start + (int32_t)(columns.begin * window->dilation_w)) * (int32_t)window->in_c;
    if (columns.begin > 0) {
        to = fill(to, conv->zero, columns.begin * count);
    }
    if (segment->channels == NULL && count == window->in_c && window->dilation_w == 1) {
        to = copy(to, row, (columns.end - columns.begin) * count);
    } else {
        const size_t step = (size_t)window->dilation_w * window->in_c;
        for (uint32_t kw = columns.begin; kw < columns.end; kw++, row += step) {
            to = copy_tap(to, segment, row);
        }
    }
    if (columns.end < window->kernel_w) {
        to = fill(to, conv->zero, (window->kernel_w - columns.end) * count);
    }
    return to;
}

/* A window's inputs, [segment][kernel_h][kernel_w][count]; x points to the first channel of the group. */
static void pack(const tt_conv *conv, uint32_t oh, uint32_t ow, const int8_t *x, int8_t *to)
{
    const tt_window *window = conv->window;
    const tt_taps columns = tt_columns_at(window, ow);
    const size_t row_step = (size_t)window->in_w * window->in_c;
    for (size_t s = 0; s < conv->segment_count; s++) {
        for (uint32_t kh = 0; kh < window->kernel_h; kh++) {
            const int32_t ih = tt_input_row(window, oh, kh);
            const int8_t *row = ih < 0 ? NULL : x + (size_t)ih * row_step;
            to = pack_row(conv, &conv->segments[s], columns, to, row);
        }
    }
}

/* The first input of the window at (oh, ow), or NULL where the window is not a block of the map: it reaches into the
 * padding, or only some channels belong to it, or its columns are not neighbours. */
static const int8_t *block_at(const tt_conv *conv, uint32_t oh, uint32_t ow, const int8_t *x)
{
    const tt_window *window = conv->window;
    const int32_t ih = (int32_t)(oh * window->stride_h) - window->pad_top;
    const int32_t iw = (int32_t)(ow * window->stride_w) - window->pad_left;
    if (!conv->is_block || ih < 0 || iw < 0 || iw + window->kernel_w > window->in_w ||
        ih + (window->kernel_h - 1) * window->dilation_h >= window->in_h) {
        return NULL;
    }
    return x + ((size_t)ih * window->in_w + (size_t)iw) * window->in_c;
}

/* A block of the map, row by row. In assembly for tail predication. */
static void pack_block(const tt_window *window, const int8_t *from, int8_t *to)
{
    const size_t row = (size_t)window->kernel_w * window->in_c;
    const size_t moved = (row + 15) / 16 * 16;
    const size_t step = (size_t)window->dilation_h * window->in_w * window->in_c - moved;
    const size_t back = moved - row;
    uint32_t rows = window->kernel_h;
    __asm volatile("2:\n"
                   "dlstp.8 lr, %[row]\n"
                   "1:\n"
                   "vldrb.8 q0, [%[from]], #16\n"
                   "vstrb.8 q0, [%[to]], #16\n"
                   "letp lr, 1b\n"
                   "add %[from], %[from], %[step]\n"
                   "sub %[to], %[to], %[back]\n"
                   "subs %[rows], %[rows], #1\n"
                   "bne 2b\n"
                   : [from] "+r"(from), [to] "+r"(to), [rows] "+r"(rows)
                   : [row] "r"(row), [step] "r"(step), [back] "r"(back)
                   : "q0", "lr", "cc", "memory");
}

/* Sums of one group, from output o on, at a pair of positions. */
static void accumulate(const tt_conv *conv, const uint32_t oh[2], const uint32_t ow[2], size_t o, const int8_t *x)
{
    const tt_window *window = conv->window;
    const int8_t *row[2] = {conv->row[0], conv->row[1]};
    x += o / conv->outputs * conv->inputs;
    for (size_t p = 0; p < 2; p++) {
        if (row[p] != NULL) {
            const int8_t *block = block_at(conv, oh[p], ow[p], x);
            if (block != NULL) {
                pack_block(window, block, conv->row[p]);
            } else {
                pack(conv, oh[p], ow[p], x, conv->row[p]);
            }
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
        tt_mac_rows(count, row[0], row[1], conv->segments[s].weights + o * count, conv->outputs, s == 0, conv->acc);
        row[0] += count;
        row[1] += count;
    }
}

/* Sums of [o, o + conv->outputs) to outputs of two positions: eight channels at a time, then four, then the rest. In
 * assembly because gcc copies registers around the narrowing moves, which overwrite one operand. */
__attribute__((noinline)) /* it takes all vector registers; callers keep theirs */
static void requantize_pair(const tt_conv *conv, const tt_requant *requant, size_t o, int8_t *y0, int8_t *y1)
{
    const int8x16_t lo = vdupq_n_s8(requant->lo);
    const int8x16_t hi = vdupq_n_s8(requant->hi);
    const int32_t zero = requant->zero;
    const int32_t *acc = conv->acc;
    const int32_t *bias = conv->bias + o;
    const int32_t *multiplier = requant->multiplier + o;
    size_t left = conv->outputs;
#define TT_REQUANTIZE_LOOP(body, groups)                                                                              \
    __asm volatile("dls lr, %[n]\n1:\n" body "le lr, 1b\n"                                                            \
                   : [y0] "+l"(y0), [y1] "+l"(y1), [acc] "+r"(acc), [bias] "+r"(bias), [m] "+r"(multiplier)           \
                   : [n] "r"(groups), [zero] "r"(zero), [lo] "w"(lo), [hi] "w"(hi)                                    \
                   : "q0", "q1", "q2", "q3", "q4", "q5", "lr", "cc", "memory")
    /* Pairs of channels are stored as halfwords, which VSTRH wants aligned. */
    if (left >= 8 && (((uintptr_t)y0 | (uintptr_t)y1) & 1U) == 0) {
        /* Even channels of both positions in q0 and q1, odd ones in q2 and q3. */
        TT_REQUANTIZE_LOOP("vld40.32 {q0, q1, q2, q3}, [%[acc]]\n"
                           "vld41.32 {q0, q1, q2, q3}, [%[acc]]\n"
                           "vld42.32 {q0, q1, q2, q3}, [%[acc]]\n"
                           "vld43.32 {q0, q1, q2, q3}, [%[acc]]!\n"
                           "vld20.32 {q4, q5}, [%[bias]]\n"
                           "vld21.32 {q4, q5}, [%[bias]]!\n"
                           "vadd.i32 q0, q0, q4\n"
                           "vadd.i32 q1, q1, q4\n"
                           "vadd.i32 q2, q2, q5\n"
                           "vadd.i32 q3, q3, q5\n"
                           "vld20.32 {q4, q5}, [%[m]]\n"
                           "vld21.32 {q4, q5}, [%[m]]!\n"
                           "vrmulh.s32 q0, q0, q4\n"
                           "vrmulh.s32 q1, q1, q4\n"
                           "vrmulh.s32 q2, q2, q5\n"
                           "vrmulh.s32 q3, q3, q5\n"
                           "vqmovnb.s32 q0, q0\n"
                           "vqmovnt.s32 q0, q1\n"
                           "vqmovnb.s32 q2, q2\n"
                           "vqmovnt.s32 q2, q3\n"
                           "vqadd.s16 q0, q0, %[zero]\n"
                           "vqadd.s16 q2, q2, %[zero]\n"
                           "vqmovnb.s16 q0, q0\n"
                           "vqmovnt.s16 q0, q2\n"
                           "vmax.s8 q0, q0, %q[lo]\n"
                           "vmin.s8 q0, q0, %q[hi]\n"
                           "vstrh.32 q0, [%[y0]], #8\n"
                           "vshr.u32 q0, q0, #16\n"
                           "vstrh.32 q0, [%[y1]], #8\n",
                           left / 8);
        left %= 8;
    }
    if (left >= 4) {
        TT_REQUANTIZE_LOOP("vld20.32 {q0, q1}, [%[acc]]\n"
                           "vld21.32 {q0, q1}, [%[acc]]!\n"
                           "vldrw.32 q2, [%[bias]], #16\n"
                           "vadd.i32 q0, q0, q2\n"
                           "vadd.i32 q1, q1, q2\n"
                           "vldrw.32 q2, [%[m]], #16\n"
                           "vrmulh.s32 q0, q0, q2\n"
                           "vrmulh.s32 q1, q1, q2\n"
                           "vqmovnb.s32 q0, q0\n"
                           "vqmovnt.s32 q0, q1\n"
                           "vqadd.s16 q0, q0, %[zero]\n"
                           "vqmovnb.s16 q0, q0\n"
                           "vmax.s8 q0, q0, %q[lo]\n"
                           "vmin.s8 q0, q0, %q[hi]\n"
                           "vstrb.32 q0, [%[y0]], #4\n"
                           "vshr.u32 q0, q0, #16\n"
                           "vstrb.32 q0, [%[y1]], #4\n",
                           left / 4);
        left %= 4;
    }
    if (left > 0) {
        const mve_pred16_t inside = vctp32q((uint32_t)left);
        const int32x4x2_t sums = vld2q_s32(acc); /* scratch reaches up to a multiple of four channels */
        const int32x4_t biases = vldrwq_s32(bias);
        const int32x4_t m = vldrwq_z_s32(multiplier, inside);
        const int32x4_t a = vrmulhq_s32(vaddq_s32(sums.val[0], biases), m);
        const int32x4_t b = vrmulhq_s32(vaddq_s32(sums.val[1], biases), m);
        const int8x16_t bytes = tt_clamp_s16x8(tt_narrow_pair(a, b, requant->zero), lo, hi);
        vstrbq_p_s32(y0, vreinterpretq_s32_s8(bytes), inside);
        vstrbq_p_u32((uint8_t *)y1, vshrq_n_u32(vreinterpretq_u32_s8(bytes), 16), inside);
    }
}

/* The same for shifts that the vectors do not serve. */
static void requantize_pair_scalar(const tt_conv *conv, const tt_requant *requant, size_t o, int8_t *y0, int8_t *y1)
{
    for (size_t k = 0; k < conv->outputs; k++) {
        y0[k] = tt_requantize_s8(requant, o + k, conv->acc[2 * k] + conv->bias[o + k]);
        y1[k] = tt_requantize_s8(requant, o + k, conv->acc[2 * k + 1] + conv->bias[o + k]);
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

/* Does what tt_narrow_layer can of a dense layer, and returns the positions done. */
static size_t narrow_layer(const tt_conv *conv, const tt_requant *requant, const int8_t *x, int8_t *y)
{
    const tt_window *window = conv->window;
    const size_t out_c = window->out_c;
    const size_t positions = (size_t)window->out_h * window->out_w / 2 * 2;
    if ((window->in_c != 8 && window->in_c != 16) || out_c % 4 != 0 || positions == 0) {
        return 0;
    }
    for (size_t o = 0; o < out_c; o += 4) {
        tt_narrow_layer(window->in_c, positions, out_c, conv->segments[0].weights + o * window->in_c, conv->bias + o,
                     vldrwq_s32(requant->multiplier + o), requant->zero, x, y + o);
    }
    clamp_map(requant, positions * out_c, y);
    return positions;
}

/* The window of every position is the next row of x. */
static int is_dense(const tt_conv *conv)
{
    const tt_window *window = conv->window;
    return conv->row[0] == NULL && window->groups == 1 && window->in_w == window->out_w &&
           (window->out_w == 1 || window->stride_w == 1) && (window->out_h == 1 || window->stride_h == 1);
}

/* Dense layers, without a look at the geometry. */
static void dense_layer(const tt_conv *conv, const tt_requant *requant, size_t done, const int8_t *x, int8_t *y)
{
    const size_t positions = (size_t)conv->window->out_h * conv->window->out_w;
    const size_t inputs = conv->inputs;
    const size_t outputs = conv->outputs;
    const int8_t *w = conv->segments[0].weights;
    for (; done < positions; done += 2) {
        /* The last of an odd number is its own partner. */
        const size_t second = done + 1 < positions;
        const int8_t *x0 = x + done * inputs;
        int8_t *y0 = y + done * outputs;
        tt_mac_rows(inputs, x0, x0 + second * inputs, w, outputs, 1, conv->acc);
        requantize_pair(conv, requant, 0, y0, y0 + second * outputs);
    }
}

/* Blocks of the map at `count` > 0 positions of one row, each into TT_SHORT_WINDOW bytes. Requires rows of a block of at
 * most 16 inputs. */
static void pack_blocks(const tt_window *window, size_t count, const int8_t *from, int8_t *to)
{
    const size_t row = (size_t)window->kernel_w * window->in_c;
    const size_t down = (size_t)window->dilation_h * window->in_w * window->in_c;
    const size_t next = (size_t)window->stride_w * window->in_c - window->kernel_h * down;
    const size_t rest = TT_SHORT_WINDOW - window->kernel_h * row;
    __asm volatile("vctp.8 %[row]\n"
                   "2:\n"
                   "dls lr, %[rows]\n"
                   "1:\n"
                   "vpstt\n"
                   "vldrbt.8 q0, [%[from]]\n"
                   "vstrbt.8 q0, [%[to]]\n"
                   "add %[from], %[from], %[down]\n"
                   "add %[to], %[to], %[row]\n"
                   "le lr, 1b\n"
                   "add %[from], %[from], %[next]\n"
                   "add %[to], %[to], %[rest]\n"
                   "subs %[count], %[count], #1\n"
                   "bne 2b\n"
                   : [from] "+r"(from), [to] "+r"(to), [count] "+r"(count)
                   : [row] "r"(row), [down] "r"(down), [next] "r"(next), [rest] "r"(rest), [rows] "r"(window->kernel_h)
                   : "q0", "lr", "cc", "memory");
}

/* The windows of output row oh, TT_SHORT_WINDOW bytes each. */
static void pack_panel(const tt_conv *conv, uint32_t oh, const int8_t *x, int8_t *panel)
{
    const tt_window *window = conv->window;
    const int is_short = (size_t)window->kernel_w * window->in_c <= 16;
    for (uint32_t ow = 0; ow < window->out_w;) {
        int8_t *to = panel + (size_t)ow * TT_SHORT_WINDOW;
        const int8_t *block = block_at(conv, oh, ow, x);
        uint32_t count = 1;
        if (block == NULL) {
            pack(conv, oh, ow, x, to);
        } else if (is_short) {
            /* All positions up to the last whose window does not reach beyond the right edge. */
            const uint32_t end = ((uint32_t)window->in_w + window->pad_left - window->kernel_w) / window->stride_w + 1;
            count = (end < window->out_w ? end : window->out_w) - ow;
            pack_blocks(window, count, block, to);
        } else {
            pack_block(window, block, to);
        }
        ow += count;
    }
}

/* Layers of one segment whose windows hold at most 32 inputs: a row of windows is packed, and then passes by the
 * weights of two outputs in registers. Returns 0 and does nothing for others. */
static int short_layer(const tt_conv *conv, const tt_requant *requant, const int8_t *x, int8_t *y)
{
    const tt_window *window = conv->window;
    const size_t count = conv->taps * conv->inputs;
    const size_t out_c = window->out_c;
    int8_t *panel = conv->row[0];
    if (panel == NULL || conv->segment_count != 1 || window->groups != 1 || count > TT_SHORT_WINDOW ||
        out_c % 2 != 0 || window->out_w < 2) {
        return 0;
    }
    tt_short_rows *rows = (tt_short_rows *)(void *)(panel + (size_t)window->out_w * TT_SHORT_WINDOW);
    for (size_t o = 0; o < out_c; o += 2) {
        tt_set_short_rows(count, conv->segments[0].weights + o * count, conv->bias + o, requant->multiplier + o,
                          (uint32_t)out_c, &rows[o / 2]);
        rows[o / 2].zero = requant->zero;
    }
    for (uint32_t oh = 0; oh < window->out_h; oh++, y += window->out_w * out_c) {
        pack_panel(conv, oh, x, panel);
        for (size_t o = 0; o < out_c; o += 2) {
            tt_short_windows(&rows[o / 2], window->out_w / 2U, panel, y + o);
            if (window->out_w % 2 != 0) {
                const size_t last = window->out_w - 2U;
                tt_short_windows(&rows[o / 2], 1, panel + last * TT_SHORT_WINDOW, y + last * out_c + o);
            }
        }
    }
    return 1;
}

void tt_conv2d_s8_mve(const tt_window *window, const tt_requant *requant, const tt_segment *segments,
                      size_t segment_count, const int32_t *bias, const int8_t *x, int8_t *y, void *scratch)
{
    const tt_conv conv = begin(window, requant->input_zero, segments, segment_count, bias, scratch);
    const int is_vector = tt_is_high_word(requant, 0, window->out_c);
    const size_t positions = (size_t)window->out_h * window->out_w;
    if (is_vector && is_dense(&conv)) {
        const size_t done = narrow_layer(&conv, requant, x, y);
        dense_layer(&conv, requant, done, x, y);
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
            if (is_vector) {
                requantize_pair(&conv, requant, o, y + o, y + second + o);
            } else {
                requantize_pair_scalar(&conv, requant, o, y + o, y + second + o);
            }
        }
        oh[0] = oh[1];
        ow[0] = ow[1];
        (void)next(window, &oh[0], &ow[0]);
    }
}

void tt_conv2d_s8_s32_mve(const tt_window *window, const tt_requant *requant, const tt_segment *segments,
                          size_t segment_count, const int32_t *bias, const int8_t *x, int32_t *y, void *scratch)
{
    const tt_conv conv = begin(window, requant->input_zero, segments, segment_count, bias, scratch);
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
