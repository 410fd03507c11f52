/* Gradient of the input of convolutions and dense layers for MVE. tt_conv2d_grad.inc.h is the reference.
 *
 * Gradients with their factors become a panel of s16, eight output channels at a time. For six columns of a segment
 * the weights of eight output channels, which lie rows apart, come by gather loads into registers, and the positions
 * pass by: one load and six VMLADAVA of eight products each. */
#include "tt_kernels_mve.h"

#if defined(__ARM_FEATURE_MVE)

#include "tt_gradient_mve.h"
#include "tt_window.h"

enum {
    COLUMNS = 6,  /* even registers that hold sums */
    OUTPUTS = 8,  /* lanes of s16 */
    POSITIONS = 32 /* of a pointwise layer that are in the panel at a time */
};

/* Sums of six columns along a run of positions, in steps of eight outputs. */
typedef struct {
    uint32_t column[COLUMNS]; /* 0: where columns lie in a row of weights; the last may be repeated */
    size_t count;             /* 24: positions */
    size_t acc_step;          /* 28: bytes of sums from one position to the next */
    size_t g_step;            /* 32: bytes of the panel from the end of the run to its beginning, eight outputs on */
    size_t w_step;            /* 36: bytes of weights from eight outputs to the next */
    uint16_t rows[8];         /* 40: where the weights of eight outputs lie */
} tt_run;

_Static_assert(offsetof(tt_run, count) == 24 && offsetof(tt_run, acc_step) == 28 && offsetof(tt_run, g_step) == 32 &&
                   offsetof(tt_run, w_step) == 36 && offsetof(tt_run, rows) == 40,
               "the assembly knows these offsets");

/* The sums of six columns at one position, the next r1. In assembly for LDM and STM, and VMLADAVA's even registers. */
#define TT_POSITION(store)                                                                                            \
    "ldm r1, {r0, r2, r4, r6, r8, r10}\n"                                                                             \
    "vldrh.16 q6, [%[g]], #16\n"                                                                                      \
    "vmladava.s16 r0, q6, q0\n"                                                                                       \
    "vmladava.s16 r2, q6, q1\n"                                                                                       \
    "vmladava.s16 r4, q6, q2\n"                                                                                       \
    "vmladava.s16 r6, q6, q3\n"                                                                                       \
    "vmladava.s16 r8, q6, q4\n"                                                                                       \
    "vmladava.s16 r10, q6, q5\n" store
#define TT_COLUMNS_LOOP(positions)                                                                                    \
    __asm volatile("vldrh.16 q7, [%[run], #40]\n"                                                                     \
                   "2:\n"                                                                                             \
                   "ldm %[run], {r0, r2, r4, r6, r8, r10, lr}\n"                                                      \
                   "add r0, %[w]\n"                                                                                   \
                   "add r2, %[w]\n"                                                                                   \
                   "add r4, %[w]\n"                                                                                   \
                   "add r6, %[w]\n"                                                                                   \
                   "add r8, %[w]\n"                                                                                   \
                   "add r10, %[w]\n"                                                                                  \
                   "vctp.16 %[outputs]\n"                                                                             \
                   "vpstttt\n"                                                                                        \
                   "vldrbt.s16 q0, [r0, q7]\n"                                                                        \
                   "vldrbt.s16 q1, [r2, q7]\n"                                                                        \
                   "vldrbt.s16 q2, [r4, q7]\n"                                                                        \
                   "vldrbt.s16 q3, [r6, q7]\n"                                                                        \
                   "vpstt\n"                                                                                          \
                   "vldrbt.s16 q4, [r8, q7]\n"                                                                        \
                   "vldrbt.s16 q5, [r10, q7]\n"                                                                       \
                   "mov r1, %[acc]\n" positions                                                                       \
                   "ldrd r0, r2, [%[run], #32]\n"                                                                     \
                   "add %[g], %[g], r0\n"                                                                             \
                   "add %[w], %[w], r2\n"                                                                             \
                   "subs %[outputs], %[outputs], #8\n"                                                                \
                   "bgt 2b\n"                                                                                         \
                   : [w] "+r"(w), [g] "+r"(g), [outputs] "+r"(outputs)                                                \
                   : [run] "r"(run), [acc] "r"(acc)                                                                   \
                   : "r0", "r1", "r2", "r3", "r4", "r6", "r8", "r10", "lr", "q0", "q1", "q2", "q3", "q4", "q5", "q6", \
                     "q7", "cc", "memory")

/* acc[position][6] += sums over `outputs` > 0 outputs. Every partial sum is within 2^30 as the whole is: its bound is
 * that of the absolute values. */
__attribute__((noinline)) /* it takes nearly every register */
static void add_products(const tt_run *run, int32_t outputs, const int8_t *w, const int16_t *g, int32_t *acc)
{
    if (run->acc_step == sizeof(int32_t[COLUMNS])) {
        /* Two positions a turn, after the odd one. */
        TT_COLUMNS_LOOP("lsrs r3, lr, #1\n"
                        "bcc 3f\n" TT_POSITION("stmia r1!, {r0, r2, r4, r6, r8, r10}\n")
                        "3:\n"
                        "wls lr, r3, 4f\n"
                        "1:\n" TT_POSITION("stmia r1!, {r0, r2, r4, r6, r8, r10}\n")
                        TT_POSITION("stmia r1!, {r0, r2, r4, r6, r8, r10}\n")
                        "le lr, 1b\n"
                        "4:\n");
    } else {
        TT_COLUMNS_LOOP("ldr r3, [%[run], #28]\n"
                        "dls lr, lr\n"
                        "1:\n" TT_POSITION("stm r1, {r0, r2, r4, r6, r8, r10}\nadd r1, r3\n")
                        "le lr, 1b\n");
    }
}

/* Where sums of four positions go: to[i] belongs to lane i of the pairs of vectors below. */
typedef struct {
    uint16_t to[4 * COLUMNS]; /* 0 */
    int32_t left[4];          /* 48: 31 - shift */
    int8_t lowest[16];        /* 64 */
} tt_target;

_Static_assert(offsetof(tt_target, left) == 48 && offsetof(tt_target, lowest) == 64,
               "the assembly knows these offsets");

/* Rounds the sums of 4 * fours positions; returns the peak. Bounds: |acc| <= 2^30. */
__attribute__((noinline)) /* it stands once */
static int32_t round_fours(const tt_target *target, size_t fours, const int32_t *acc, int32_t shift, int32_t peak,
                           size_t step, int8_t *dx)
{
#define TT_ROUND_PAIR(to)                                                                                             \
    "vldrw.32 q0, [%[acc]], #16\n"                                                                                    \
    "vldrw.32 q1, [%[acc]], #16\n" TT_RH("q0", "q2", "q3", "%[down]", "%[one]")                                       \
        TT_RH("q1", "q2", "q3", "%[down]", "%[one]")                                                                  \
    "vmaxav.s32 %[peak], q0\n"                                                                                        \
    "vmaxav.s32 %[peak], q1\n"                                                                                        \
    "vqmovnb.s32 q0, q0\n"                                                                                            \
    "vqmovnt.s32 q0, q1\n"                                                                                            \
    "vqmovnb.s16 q0, q0\n"                                                                                            \
    "vmax.s8 q0, q0, q4\n"                                                                                            \
    "vstrb.16 q0, [%[dx], " to "]\n"
    __asm volatile("vldrh.16 q5, [%[target]]\n"
                   "vldrh.16 q6, [%[target], #16]\n"
                   "vldrh.16 q7, [%[target], #32]\n"
                   "vldrw.32 q3, [%[target], #48]\n"
                   "vldrw.32 q4, [%[target], #64]\n"
                   "dls lr, %[fours]\n"
                   "1:\n" TT_ROUND_PAIR("q5") TT_ROUND_PAIR("q6") TT_ROUND_PAIR("q7")
                   "add %[dx], %[dx], %[step]\n"
                   "le lr, 1b\n"
                   : [acc] "+r"(acc), [dx] "+r"(dx), [peak] "+r"(peak)
                   : [target] "r"(target), [fours] "r"(fours), [down] "r"(-shift), [one] "r"(1), [step] "r"(step)
                   : "lr", "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "cc", "memory");
    return peak;
}

/* A layer on its way. */
typedef struct {
    const tt_window *window;
    size_t outputs; /* of a group */
    size_t inputs;  /* of a group */
    int32_t *acc;   /* [positions][6] */
    int16_t *panel; /* [outputs / 8, rounded up][positions][8] */
    tt_rounding rounding;
    tt_target target;
} tt_input_gradient;

/* Channel of column j of a segment. */
static inline size_t channel_of(const tt_segment *segment, size_t j)
{
    return segment->channels == NULL ? j : segment->channels[j];
}

/* Where six columns go from four positions on. 16-bit lane i of a pair of vectors is lane i / 2 of vector i % 2. */
static void set_target(const tt_window *window, const size_t channel[COLUMNS], tt_target *target)
{
    size_t k = 0;
    size_t p = 0;
    for (size_t i = 0; i < 4 * COLUMNS; i++) {
        target->to[i / 8 * 8 + i % 4 * 2 + i / 4 % 2] = (uint16_t)(p + channel[k]);
        k++;
        if (k == COLUMNS) {
            k = 0;
            p += window->in_c;
        }
    }
}

/* Rounds acc[count][6], columns first to first + 5 of a segment, the last repeated where there are less. dx points to
 * the first position and the group. layer->target is that of the columns 0 to 5 of a segment without channels. */
static void round_columns(tt_input_gradient *layer, const tt_segment *segment, size_t first, size_t count, int8_t *dx)
{
    const size_t in_c = layer->window->in_c;
    const size_t last = segment->count - 1U;
    const int is_vector = tt_is_vector_shift(layer->rounding.shift) && count >= 4;
    if (is_vector && segment->channels == NULL && segment->count >= COLUMNS) {
        dx += first;
    } else {
        size_t channel[COLUMNS];
        for (size_t k = 0; k < COLUMNS; k++) {
            channel[k] = channel_of(segment, first + k < last ? first + k : last);
        }
        if (!is_vector) {
            for (size_t p = 0; p < count; p++) {
                for (size_t k = 0; k < COLUMNS; k++) {
                    dx[p * in_c + channel[k]] = tt_rounded_s8(layer->acc[p * COLUMNS + k], &layer->rounding);
                }
            }
            return;
        }
        set_target(layer->window, channel, &layer->target);
    }
    const int32_t shift = layer->rounding.shift;
    int32_t peak = round_fours(&layer->target, count / 4, layer->acc, shift, layer->rounding.peak, 4 * in_c, dx);
    if (count % 4 != 0) {
        /* The last four once more, some of them for the second time. */
        const size_t done = count - 4;
        peak = round_fours(&layer->target, 1, layer->acc + done * COLUMNS, shift, peak, 0, dx + done * in_c);
    }
    layer->rounding.peak = peak;
}

/* Before the blocks of columns of a segment. */
static void begin_segment(tt_input_gradient *layer, const tt_segment *segment)
{
    static const size_t channel[COLUMNS] = {0, 1, 2, 3, 4, 5};
    if (segment->channels == NULL && segment->count >= COLUMNS) {
        set_target(layer->window, channel, &layer->target);
    }
}

/* The panel of `count` positions; g points to the first of them and the group, factors to the group. */
static void make_panel(const tt_input_gradient *layer, size_t count, const int8_t *g, const int16_t *factors)
{
    int16_t *to = layer->panel;
    for (size_t o = 0; o < layer->outputs; o += OUTPUTS, to += count * OUTPUTS) {
        tt_factored_panel(count, g + o, layer->window->out_c, factors + o, (uint32_t)(layer->outputs - o), to);
    }
}

/* What all runs of a block of columns share; panel: positions in the panel. */
static void begin_run(const tt_input_gradient *layer, const tt_segment *segment, size_t first, tt_run *run)
{
    const size_t taps = (size_t)layer->window->kernel_h * layer->window->kernel_w;
    const size_t row = taps * segment->count;
    for (uint32_t k = 0; k < COLUMNS; k++) {
        const size_t j = first + k;
        run->column[k] = (uint32_t)(j < segment->count ? j : segment->count - 1U);
    }
    for (uint32_t i = 0; i < OUTPUTS; i++) {
        run->rows[i] = (uint16_t)(i * row);
    }
    run->w_step = OUTPUTS * row;
}

/* nano.specs' memset goes byte by byte. */
static void clear_sums(int32_t *acc, size_t positions)
{
    for (size_t i = 0; i < positions * COLUMNS; i += 4) {
        vstrwq_p_s32(acc + i, vdupq_n_s32(0), vctp32q((uint32_t)(positions * COLUMNS - i)));
    }
}

/* The next block of columns after `first`: the last block may overlap the one before. */
static size_t next_columns(const tt_segment *segment, size_t first)
{
    const size_t next = first + COLUMNS;
    const size_t count = segment->count;
    if (next >= count || next + COLUMNS <= count) {
        return next;
    }
    return count - COLUMNS;
}

/* One group of a layer whose windows are the positions of the map one by one. */
static void pointwise_group(tt_input_gradient *layer, const tt_segment *segments, size_t segment_count, size_t group,
                            const int16_t *factors, const int8_t *g, int8_t *dx)
{
    const tt_window *window = layer->window;
    const size_t positions = (size_t)window->in_h * window->in_w;
    for (size_t p = 0; p < positions; p += POSITIONS) {
        const size_t count = positions - p < POSITIONS ? positions - p : POSITIONS;
        make_panel(layer, count, g + p * window->out_c, factors);
        for (size_t s = 0; s < segment_count; s++) {
            const tt_segment *segment = &segments[s];
            const int8_t *w = segment->weights + group * layer->outputs * segment->count;
            begin_segment(layer, segment);
            for (size_t j = 0; j < segment->count; j = next_columns(segment, j)) {
                tt_run run = {.count = count, .acc_step = sizeof(int32_t[COLUMNS]), .g_step = 0};
                begin_run(layer, segment, j, &run);
                clear_sums(layer->acc, count);
                add_products(&run, (int32_t)layer->outputs, w, layer->panel, layer->acc);
                round_columns(layer, segment, j, count, dx + p * window->in_c);
            }
        }
    }
}

/* Adds what tap (kh, kw) brings to row ih of dx: output columns [begin, end) reach it. */
static void add_tap(const tt_input_gradient *layer, const tt_segment *segment, const int8_t *w, uint32_t kh, uint32_t kw,
                    size_t oh, tt_run *run)
{
    const tt_window *window = layer->window;
    const int32_t stride = window->stride_w;
    /* Output column ow reaches input column ow * stride - back. */
    const int32_t back = window->pad_left - (int32_t)(kw * window->dilation_w);
    const int32_t begin = back > 0 ? (back + stride - 1) / stride : 0;
    const int32_t room = window->in_w - 1 + back;
    const int32_t most = room < 0 ? 0 : room / stride + 1;
    const int32_t end = most < window->out_w ? most : window->out_w;
    if (begin >= end) {
        return;
    }
    const size_t positions = (size_t)window->out_h * window->out_w;
    const size_t tap = (size_t)kh * window->kernel_w + kw;
    run->count = (size_t)(end - begin);
    run->g_step = (positions - run->count) * sizeof(int16_t[OUTPUTS]);
    add_products(run, (int32_t)layer->outputs, w + tap * segment->count,
                 layer->panel + (oh * window->out_w + (size_t)begin) * OUTPUTS,
                 layer->acc + (begin * stride - back) * COLUMNS);
}

/* One group of any layer, row by row of dx. */
static void window_group(tt_input_gradient *layer, const tt_segment *segments, size_t segment_count, size_t group,
                         const int16_t *factors, const int8_t *g, int8_t *dx)
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
                tt_run run = {.acc_step = window->stride_w * sizeof(int32_t[COLUMNS])};
                begin_run(layer, segment, j, &run);
                clear_sums(layer->acc, window->in_w);
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
        if ((OUTPUTS - 1) * taps * segments[s].count > UINT16_MAX) {
            return 0;
        }
    }
    return 4 * (size_t)window->in_c <= UINT16_MAX;
}

static int is_pointwise(const tt_window *window)
{
    return window->kernel_h == 1 && window->kernel_w == 1 && window->pad_top == 0 && window->pad_left == 0 &&
           window->in_h == window->out_h && window->in_w == window->out_w &&
           (window->stride_h == 1 || window->in_h == 1) && (window->stride_w == 1 || window->in_w == 1);
}

void tt_conv2d_s8_grad_input_mve(const tt_window *window, const tt_segment *segments, size_t segment_count,
                                 const tt_factors *factors, const tt_rescale *rescale, const int8_t *g, int8_t *dx,
                                 void *scratch)
{
    if (!is_near(window, segments, segment_count)) {
        tt_conv2d_s8_grad_input(window, segments, segment_count, factors, rescale, g, dx, scratch);
        return;
    }
    const int is_simple = is_pointwise(window);
    const size_t positions = (size_t)window->in_h * window->in_w;
    const size_t sums = !is_simple ? window->in_w : positions < POSITIONS ? positions : POSITIONS;
    tt_input_gradient layer = {.window = window,
                               .outputs = (size_t)window->out_c / window->groups,
                               .inputs = (size_t)window->in_c / window->groups,
                               .acc = scratch,
                               .rounding = tt_rounding_begin_s8(rescale)};
    layer.panel = (int16_t *)(void *)(layer.acc + sums * COLUMNS);
    vstrwq_s32(layer.target.left, vdupq_n_s32(31 - layer.rounding.shift));
    vstrbq_s8(layer.target.lowest, vdupq_n_s8(-INT8_MAX));
    for (size_t group = 0; group < window->groups; group++) {
        const int16_t *group_factors = factors->integer + group * layer.outputs;
        const int8_t *group_g = g + group * layer.outputs;
        int8_t *group_dx = dx + group * layer.inputs;
        if (is_simple) {
            pointwise_group(&layer, segments, segment_count, group, group_factors, group_g, group_dx);
        } else {
            window_group(&layer, segments, segment_count, group, group_factors, group_g, group_dx);
        }
    }
    tt_rounding_end_s8(rescale, layer.rounding);
}

#endif
