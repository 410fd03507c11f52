/* Depthwise convolution for MVE: forward. tt_depthwise_conv2d.c is the reference.
 *
 * Rows of the map are woven into strips: of 16 channels, columns one after another, each column with four rows of each
 * channel in one word (wide kernels: two such groups). VST4 weaves. A window of up to 4x4 is then four words, one
 * gather load and one VMLADAV of its 16 products, and the same load serves the output row below. Raw inputs are
 * multiplied, the zero point is taken out by bias - zero * sum of w, and padding is an input at the zero point. */
#include "tt_kernels_mve.h"

#if defined(__ARM_FEATURE_MVE)

#include "tt_requantize_mve.h"
#include "tt_window.h"

enum {
    CHANNELS = 16,
    GROUP = 4 * CHANNELS, /* bytes of four rows in a column */
    VECTORS = 4,          /* of weights, at most */
    SHIFTS = 4,           /* rows of outputs that a strip serves, at most */
    WALKS = 2 * SHIFTS,
    STRIPS_SIZE = 16384   /* strips made at a time, in bytes, but at least one */
};

/* What selects a loop: 1, 3 or 4 vectors a window, or 2 for a pair of rows, and these. */
enum { DOUBLE = 8, CLAMPED = 16 };

/* Which weights lie where in the vectors that meet a strip: byte i is weight tap[i] where bit i of inside is set, and
 * 0 elsewhere. */
typedef struct {
    uint8_t tap[VECTORS][16];
    mve_pred16_t inside[VECTORS];
} tt_weave;

/* What stays the same for all channels. */
typedef struct {
    const tt_window *window;
    const tt_requant *requant;
    uint32_t groups;     /* of four rows in a strip */
    uint32_t vectors;    /* that a window takes: 1, 3 or 4 */
    uint32_t rows;       /* of outputs that a strip serves */
    uint32_t columns;    /* of a strip */
    uint32_t strip_size; /* in bytes */
    tt_weave weave[SHIFTS];
    int8_t *strips;
    int is_paired;  /* one vector serves two rows */
    int is_high_word;
    uint32_t form;  /* what the loops below make of the stride and the clamp */
} tt_depthwise;

static uint32_t row_groups(const tt_window *window)
{
    return window->kernel_h > 4 || window->kernel_w > 4 ? 2 : 1;
}

/* The weights that meet bytes of four words: `column` of the kernel for each word, and the row of its first byte. */
static void weave_vector(const tt_window *window, uint32_t v, const int32_t column[4], const int32_t row[4],
                         tt_weave *weave)
{
    uint32_t inside = 0;
    for (uint32_t i = 0; i < 16; i++) {
        const int32_t kh = row[i / 4] + (int32_t)(i % 4);
        const int32_t kw = column[i / 4];
        const int is_tap = kh >= 0 && kh < window->kernel_h && kw < window->kernel_w;
        weave->tap[v][i] = (uint8_t)(is_tap ? kh * window->kernel_w + kw : 0);
        inside |= (uint32_t)is_tap << i;
    }
    weave->inside[v] = (mve_pred16_t)inside;
}

/* The weights of an output row whose first tap is row `shift` of its strip. */
static void weave_weights(const tt_window *window, uint32_t vectors, int32_t shift, tt_weave *weave)
{
    static const int32_t left[4] = {0, 1, 2, 3};
    static const int32_t right[4] = {4, 5, 6, 7};
    static const int32_t fifth[4] = {4, 4, 8, 8};
    const int32_t upper[4] = {-shift, -shift, -shift, -shift};
    const int32_t lower[4] = {4 - shift, 4 - shift, 4 - shift, 4 - shift};
    const int32_t both[4] = {-shift, 4 - shift, 0, 0};
    weave_vector(window, 0, left, upper, weave);
    if (vectors > 1) {
        weave_vector(window, 1, left, lower, weave);
    }
    if (vectors == 3) {
        weave_vector(window, 2, fifth, both, weave);
    }
    if (vectors == 4) {
        weave_vector(window, 2, right, upper, weave);
        weave_vector(window, 3, right, lower, weave);
    }
}

/* Nonzero if strips serve the layer. Gathers step by an immediate, scatters reach 64 KB. */
static int is_woven(const tt_window *window)
{
    return window->kernel_h <= 8 && window->kernel_w <= 8 && window->stride_w <= 2 &&
           (window->dilation_w == 1 || window->kernel_w <= 4) &&
           ((size_t)window->out_w + 3) * window->out_c <= UINT16_MAX;
}

static void begin(const tt_window *window, const tt_requant *requant, tt_depthwise *layer, void *scratch)
{
    layer->window = window;
    layer->requant = requant;
    layer->groups = row_groups(window);
    layer->vectors = layer->groups == 1 ? 1 : window->kernel_w <= 5 ? 3 : 4;
    layer->rows = window->dilation_h == 1 ? (4 * layer->groups - window->kernel_h) / window->stride_h + 1 : 1;
    if (layer->groups == 2) {
        /* Weights for each further row cost about as much as two more strips. */
        const uint32_t most = 1;
        layer->rows = layer->rows < most ? layer->rows : most;
    }
    const uint32_t reach = layer->vectors == 4 ? 7 : layer->vectors == 3 && window->dilation_w == 1 ? 4
                                                                           : 3U * window->dilation_w;
    layer->columns = ((window->out_w + 3U) / 4 * 4 - 1) * window->stride_w + reach + 1;
    layer->strip_size = layer->columns * layer->groups * GROUP;
    layer->strips = scratch;
    layer->form = window->stride_w == 2 ? DOUBLE : 0;
    layer->form += requant->lo != INT8_MIN || requant->hi != INT8_MAX ? CLAMPED : 0;
    layer->is_paired = layer->groups == 1 && layer->rows == 2;
    layer->is_high_word = tt_is_high_word(requant, 0, window->out_c);
    for (uint32_t j = 0; j < layer->rows; j++) {
        weave_weights(window, layer->vectors, (int32_t)(j * window->stride_h), &layer->weave[j]);
    }
}

/* `count` columns of padding from `to` on; returns the end. VST4 in assembly: gcc 12 gives it steps it cannot make. */
static int8_t *weave_padding(int8_t *to, size_t pitch, uint32_t count, int8_t zero)
{
    if (count > 0) {
        __asm volatile("vdup.8 q0, %[zero]\n"
                       "vmov q1, q0\n"
                       "vmov q2, q0\n"
                       "vmov q3, q0\n"
                       "dls lr, %[count]\n"
                       "1:\n"
                       "vst40.8 {q0, q1, q2, q3}, [%[to]]\n"
                       "vst41.8 {q0, q1, q2, q3}, [%[to]]\n"
                       "vst42.8 {q0, q1, q2, q3}, [%[to]]\n"
                       "vst43.8 {q0, q1, q2, q3}, [%[to]]\n"
                       "add %[to], %[to], %[pitch]\n"
                       "le lr, 1b\n"
                       : [to] "+r"(to)
                       : [pitch] "r"(pitch), [count] "r"(count), [zero] "r"((int32_t)zero)
                       : "q0", "q1", "q2", "q3", "lr", "cc", "memory");
    }
    return to;
}

/* Four rows on their way into a strip; LDM takes it in this order. */
typedef struct {
    const int8_t *from[4];
    size_t step[4]; /* from column to column: 0 where the row lies in the padding */
    size_t pitch;
    uint32_t channels;
    uint32_t count;
} tt_weft;

/* count > 0 columns of four rows from `to` on; returns the end. */
static int8_t *weave_columns(const tt_weft *weft, int8_t *to)
{
    __asm volatile("ldm %[weft], {r0, r1, r2, r3, r4, r5, r6, r8, r9, r10, lr}\n"
                   "vctp.8 r10\n"
                   "dls lr, lr\n"
                   "1:\n"
                   "vpstttt\n"
                   "vldrbt.8 q0, [r0]\n"
                   "vldrbt.8 q1, [r1]\n"
                   "vldrbt.8 q2, [r2]\n"
                   "vldrbt.8 q3, [r3]\n"
                   "add r0, r4\n"
                   "add r1, r5\n"
                   "add r2, r6\n"
                   "add r3, r8\n"
                   "vst40.8 {q0, q1, q2, q3}, [%[to]]\n"
                   "vst41.8 {q0, q1, q2, q3}, [%[to]]\n"
                   "vst42.8 {q0, q1, q2, q3}, [%[to]]\n"
                   "vst43.8 {q0, q1, q2, q3}, [%[to]]\n"
                   "add %[to], r9\n"
                   "le lr, 1b\n"
                   : [to] "+r"(to)
                   : [weft] "r"(weft)
                   : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "lr", "q0", "q1", "q2", "q3", "cc",
                     "memory");
    return to;
}

/* Four rows of up to 16 channels, woven: columns of the map, and before and after them what padding is. */
static void weave_rows(const tt_depthwise *layer, int32_t row, uint32_t channels, const int8_t *x, int8_t *to)
{
    const tt_window *window = layer->window;
    const size_t pitch = layer->groups * GROUP;
    const int8_t padding = layer->requant->input_zero;
    int8_t zero[16];
    const uint32_t before = window->pad_left < layer->columns ? window->pad_left : layer->columns;
    const uint32_t room = layer->columns - before;
    const uint32_t count = room < window->in_w ? room : window->in_w;
    tt_weft weft = {{NULL, NULL, NULL, NULL}, {0, 0, 0, 0}, pitch, channels, count};
    vstrbq_s8(zero, vdupq_n_s8(padding));
    for (uint32_t r = 0; r < 4; r++, row += window->dilation_h) {
        const int is_inside = row >= 0 && row < window->in_h;
        weft.from[r] = is_inside ? x + (size_t)row * window->in_w * window->in_c : zero;
        weft.step[r] = is_inside ? window->in_c : 0;
    }
    to = weave_padding(to, pitch, before, padding);
    if (count > 0) {
        to = weave_columns(&weft, to);
    }
    (void)weave_padding(to, pitch, room - count, padding);
}

/* The strips from number `first` on, for the channels that x points to. */
static void weave_strips(const tt_depthwise *layer, uint32_t first, uint32_t count, uint32_t channels, const int8_t *x)
{
    const tt_window *window = layer->window;
    int8_t *to = layer->strips;
    for (uint32_t s = first; s < first + count; s++, to += layer->strip_size) {
        const int32_t top = (int32_t)(s * layer->rows * window->stride_h) - window->pad_top;
        for (uint32_t g = 0; g < layer->groups; g++) {
            weave_rows(layer, top + (int32_t)(4 * g * window->dilation_h), channels, x, to + g * GROUP);
        }
    }
}

/* One output channel on its way through the strips. The loops below are in assembly, for the pairs of moves, VMLADAVA's
 * even registers and the stepping address vectors, and load what they need from here by the offsets on the right: gcc
 * does not manage to hand over so many registers. */
typedef struct {
    int32_t bias; /* 0: with the zero point taken out */
    int32_t multiplier;
    int32_t zero;
    size_t step;                   /* 12: bytes of y from four positions to the next */
    uint32_t strip_size;           /* 16 */
    uint32_t unused;               /* vectors stay aligned to 8 bytes */
    uint32_t address[4];           /* 24: of the words before the first window of a strip, relative to the strip */
    uint32_t fifth[4];             /* 40: the same for what the third vector of three reads */
    uint16_t to_pair[8];           /* 56: where the lanes of a pair of rows go, relative to y */
    uint32_t to_row[4];            /* 72: and those of one row */
    int8_t lo[16];                 /* 88 */
    int8_t hi[16];                 /* 104 */
    uint32_t groups;               /* 120: of four positions; from here on of the walk */
    uint32_t strips;               /* 124 */
    uint32_t inside;               /* 128: predicate of the stores */
    size_t gap;                    /* 132: bytes of y from the end of a row to the one in the next strip */
    int8_t w[SHIFTS][VECTORS][16]; /* 136: of each output row of a strip */
} tt_lane_job;

/* A row of outputs, or a pair, in each of some strips: all of its fours of positions, or the rest of them. */
typedef struct {
    uint32_t groups;
    uint32_t strips;
    uint32_t inside;
    size_t gap;
    uint32_t form;
    size_t strip_offset; /* of the first strip, and of the position in it */
    size_t y_offset;
    size_t w_offset;
} tt_walk;

_Static_assert(offsetof(tt_lane_job, step) == 12 && offsetof(tt_lane_job, strip_size) == 16 &&
                   offsetof(tt_lane_job, address) == 24 && offsetof(tt_lane_job, fifth) == 40 &&
                   offsetof(tt_lane_job, to_pair) == 56 && offsetof(tt_lane_job, to_row) == 72 &&
                   offsetof(tt_lane_job, lo) == 88 && offsetof(tt_lane_job, hi) == 104 &&
                   offsetof(tt_lane_job, groups) == 120 && offsetof(tt_lane_job, strips) == 124 &&
                   offsetof(tt_lane_job, inside) == 128 && offsetof(tt_lane_job, gap) == 132,
               "the assembly knows these offsets");

/* w is the vectors of weights and then the strips left. */
#define TT_BEGIN(to, weights)                                                                                         \
    "ldr r0, [%[job], #128]\n"                                                                                        \
    "vmsr p0, r0\n"                                                                                                   \
    "ldm %[job], {r1, r3, r8, r9}\n"                                                                                  \
    "vldrw.32 q3, [%[job], " to "]\n" weights "ldr %[w], [%[job], #124]\n"                                            \
    "2:\n"                                                                                                            \
    "vldrw.32 q0, [%[job], #24]\n"                                                                                    \
    "vadd.i32 q0, q0, %[strip]\n"
#define TT_LOOP                                                                                                       \
    "ldr lr, [%[job], #120]\n"                                                                                        \
    "dls lr, lr\n"                                                                                                    \
    "1:\n"
#define TT_REQUANTIZE(v, multiplier)                                                                                  \
    "vadd.i32 " v ", " v ", r1\n"                                                                                     \
    "vrmulh.s32 " v ", " v ", " multiplier "\n"
#define TT_CLAMP                                                                                                      \
    "vldrw.32 q1, [%[job], #88]\n"                                                                                    \
    "vmax.s8 q2, q2, q1\n"                                                                                            \
    "vldrw.32 q1, [%[job], #104]\n"                                                                                   \
    "vmin.s8 q2, q2, q1\n"
#define TT_END(type)                                                                                                  \
    "vpst\n"                                                                                                          \
    "vstrbt." type " q2, [%[y], q3]\n"                                                                                \
    "add %[y], %[y], r9\n"                                                                                            \
    "le lr, 1b\n"                                                                                                     \
    "ldr r0, [%[job], #16]\n"                                                                                         \
    "ldr r2, [%[job], #132]\n"                                                                                        \
    "add %[strip], %[strip], r0\n"                                                                                    \
    "add %[y], %[y], r2\n"                                                                                            \
    "subs %[w], %[w], #1\n"                                                                                           \
    "bne 2b\n"
#define TT_OPERANDS                                                                                                   \
    [y] "+r"(y), [strip] "+r"(strip), [w] "+r"(w) : [job] "r"(job)                                                    \
        : "r0", "r1", "r2", "r3", "r4", "r6", "r8", "r9", "lr", "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", \
          "cc", "memory"

/* Four positions of two output rows. Lanes of the sums are positions 0, 2, 1, 3: so four registers are enough. The
 * weights of the second row are those of job->w[1]. */
#define TT_PAIR_LOOP(advance, clamp)                                                                                  \
    __asm volatile(TT_BEGIN("#56", "vldrw.32 q4, [%[w]]\nvldrw.32 q5, [%[w], #64]\nvdup.32 q7, r3\n") TT_LOOP        \
                   "vldrw.u32 q1, [q0, " advance "]!\n"                                                               \
                   "vmladav.s8 r0, q1, q4\n"                                                                          \
                   "vmladav.s8 r2, q1, q5\n"                                                                          \
                   "vldrw.u32 q1, [q0, " advance "]!\n"                                                               \
                   "vmladav.s8 r4, q1, q4\n"                                                                          \
                   "vmladav.s8 r6, q1, q5\n"                                                                          \
                   "vmov q2[2], q2[0], r0, r4\n"                                                                      \
                   "vmov q6[2], q6[0], r2, r6\n"                                                                      \
                   "vldrw.u32 q1, [q0, " advance "]!\n"                                                               \
                   "vmladav.s8 r0, q1, q4\n"                                                                          \
                   "vmladav.s8 r2, q1, q5\n"                                                                          \
                   "vldrw.u32 q1, [q0, " advance "]!\n"                                                               \
                   "vmladav.s8 r4, q1, q4\n"                                                                          \
                   "vmladav.s8 r6, q1, q5\n"                                                                          \
                   "vmov q2[3], q2[1], r0, r4\n"                                                                      \
                   "vmov q6[3], q6[1], r2, r6\n" TT_REQUANTIZE("q2", "q7") TT_REQUANTIZE("q6", "q7")                  \
                   "vqmovnb.s32 q2, q2\n"                                                                             \
                   "vqmovnt.s32 q2, q6\n"                                                                             \
                   "vqadd.s16 q2, q2, r8\n"                                                                           \
                   "vqmovnb.s16 q2, q2\n" clamp TT_END("16")                                                          \
                   : TT_OPERANDS)

/* Four positions of one output row; position(acc) gives the sum of the next. */
#define TT_ROW_LOOP(position, weights, clamp)                                                                         \
    __asm volatile(TT_BEGIN("#72", weights##_WEIGHTS) weights##_ADDRESS TT_LOOP                                       \
                   position("r0") position("r2") position("r4") position("r6")                                        \
                   "vmov q2[2], q2[0], r0, r4\n"                                                                      \
                   "vmov q2[3], q2[1], r2, r6\n" weights##_MULTIPLIER                                                 \
                   "vqmovnb.s32 q2, q2\n"                                                                             \
                   "vqadd.s16 q2, q2, r8\n"                                                                           \
                   "vqmovnb.s16 q2, q2\n" clamp TT_END("32")                                                          \
                   : TT_OPERANDS)
#define TT_WORDS(at) "vldrw.u32 q1, [" at "\n"
#define TT_FIRST(acc) "vmladav.s8 " acc ", q1, q4\n"
#define TT_FURTHER(acc, w) "vmladava.s8 " acc ", q1, " w "\n"
#define TT_1_WEIGHTS "vldrw.32 q4, [%[w]]\nvdup.32 q7, r3\n"
#define TT_1_ADDRESS ""
#define TT_1_MULTIPLIER TT_REQUANTIZE("q2", "q7")
#define TT_POSITION_1(acc) TT_WORDS("q0, #64]!") TT_FIRST(acc)
#define TT_DOUBLE_1(acc) TT_WORDS("q0, #128]!") TT_FIRST(acc)
/* The address vectors stand at the second and the third load of the position before. */
#define TT_3_WEIGHTS "vldrw.32 q4, [%[w]]\nvldrw.32 q5, [%[w], #16]\nvldrw.32 q6, [%[w], #32]\n"
#define TT_3_ADDRESS "vldrw.32 q7, [%[job], #40]\nvadd.i32 q7, q7, %[strip]\n"
/* No register is free for it all the time. */
#define TT_3_MULTIPLIER "vdup.32 q1, r3\n" TT_REQUANTIZE("q2", "q1")
#define TT_POSITION_3(acc)                                                                                            \
    TT_WORDS("q0, #64]")                                                                                              \
    TT_FIRST(acc) TT_WORDS("q0, #128]!") TT_FURTHER(acc, "q5") TT_WORDS("q7, #128]!") TT_FURTHER(acc, "q6")
#define TT_DOUBLE_3(acc)                                                                                              \
    TT_WORDS("q0, #192]")                                                                                             \
    TT_FIRST(acc) TT_WORDS("q0, #256]!") TT_FURTHER(acc, "q5") TT_WORDS("q7, #256]!") TT_FURTHER(acc, "q6")
/* The address vector stands at the last load of the position before, 576 bytes behind its first. */
#define TT_4_WEIGHTS TT_3_WEIGHTS "vldrw.32 q7, [%[w], #48]\n"
#define TT_4_ADDRESS ""
#define TT_4_MULTIPLIER TT_3_MULTIPLIER
#define TT_POSITION_4(acc)                                                                                            \
    TT_WORDS("q0, #-448]")                                                                                            \
    TT_FIRST(acc)                                                                                                     \
    TT_WORDS("q0, #-384]")                                                                                            \
    TT_FURTHER(acc, "q5") TT_WORDS("q0, #64]") TT_FURTHER(acc, "q6") TT_WORDS("q0, #128]!") TT_FURTHER(acc, "q7")
#define TT_DOUBLE_4(acc)                                                                                              \
    TT_WORDS("q0, #-320]")                                                                                            \
    TT_FIRST(acc)                                                                                                     \
    TT_WORDS("q0, #-256]")                                                                                            \
    TT_FURTHER(acc, "q5") TT_WORDS("q0, #192]") TT_FURTHER(acc, "q6") TT_WORDS("q0, #256]!") TT_FURTHER(acc, "q7")

__attribute__((noinline)) /* its loops stand once */
static void take(tt_lane_job *job, const tt_walk *walk, const int8_t *strip, int8_t *y)
{
    vstrwq_u32(&job->groups, vldrwq_u32(&walk->groups));
    const int8_t *w = job->w[0][0] + walk->w_offset;
    strip += walk->strip_offset;
    y += walk->y_offset;
    switch (walk->form) {
    case 2:
        TT_PAIR_LOOP("#64", "");
        break;
    case 2 + CLAMPED:
        TT_PAIR_LOOP("#64", TT_CLAMP);
        break;
    case 2 + DOUBLE:
        TT_PAIR_LOOP("#128", "");
        break;
    case 2 + DOUBLE + CLAMPED:
        TT_PAIR_LOOP("#128", TT_CLAMP);
        break;
    case 1:
        TT_ROW_LOOP(TT_POSITION_1, TT_1, "");
        break;
    case 1 + CLAMPED:
        TT_ROW_LOOP(TT_POSITION_1, TT_1, TT_CLAMP);
        break;
    case 1 + DOUBLE:
        TT_ROW_LOOP(TT_DOUBLE_1, TT_1, "");
        break;
    case 1 + DOUBLE + CLAMPED:
        TT_ROW_LOOP(TT_DOUBLE_1, TT_1, TT_CLAMP);
        break;
    case 3:
        TT_ROW_LOOP(TT_POSITION_3, TT_3, "");
        break;
    case 3 + CLAMPED:
        TT_ROW_LOOP(TT_POSITION_3, TT_3, TT_CLAMP);
        break;
    case 3 + DOUBLE:
        TT_ROW_LOOP(TT_DOUBLE_3, TT_3, "");
        break;
    case 3 + DOUBLE + CLAMPED:
        TT_ROW_LOOP(TT_DOUBLE_3, TT_3, TT_CLAMP);
        break;
    case 4:
        TT_ROW_LOOP(TT_POSITION_4, TT_4, "");
        break;
    case 4 + CLAMPED:
        TT_ROW_LOOP(TT_POSITION_4, TT_4, TT_CLAMP);
        break;
    case 4 + DOUBLE:
        TT_ROW_LOOP(TT_DOUBLE_4, TT_4, "");
        break;
    default:
        TT_ROW_LOOP(TT_DOUBLE_4, TT_4, TT_CLAMP);
        break;
    }
}

/* What is the same for all channels and strips. */
static void begin_job(const tt_depthwise *layer, tt_lane_job *job)
{
    static const uint16_t positions[4] = {0, 2, 1, 3};
    const tt_window *window = layer->window;
    const tt_requant *requant = layer->requant;
    const uint32_t pitch = layer->groups * GROUP;
    const uint32_t back = pitch * window->stride_w;
    job->zero = requant->zero;
    job->step = 4 * (size_t)window->out_c;
    job->strip_size = layer->strip_size;
    vstrbq_s8(job->lo, vdupq_n_s8(requant->lo));
    vstrbq_s8(job->hi, vdupq_n_s8(requant->hi));
    for (uint32_t i = 0; i < 4; i++) {
        job->address[i] = i * pitch * window->dilation_w - back;
        if (layer->vectors == 3) {
            job->address[i] += GROUP;
        } else if (layer->vectors == 4) {
            job->address[i] += 9 * GROUP;
        }
        /* The fifth column's two groups; the lanes beyond have weights 0. */
        job->fifth[i] = 4 * pitch + (i & 1U) * GROUP - back;
        job->to_pair[2 * i] = (uint16_t)(positions[i] * window->out_c);
        job->to_pair[2 * i + 1] = (uint16_t)((positions[i] + window->out_w) * window->out_c);
        job->to_row[i] = i * window->out_c;
    }
}

/* Output row j of strips [begin, end), and row j + 1 with it if `rows` is 2; returns the next free walk. */
static tt_walk *add_walks(const tt_depthwise *layer, uint32_t rows, uint32_t j, uint32_t begin, uint32_t end,
                          tt_walk *walk)
{
    /* Positions 0, 2, 1, 3 of a pair, each with two 16-bit lanes; or lanes of 32 bits. */
    static const uint16_t rest_of_pair[4] = {0, 0x000f, 0x0f0f, 0x0fff};
    static const uint16_t rest_of_row[4] = {0, 0x000f, 0x00ff, 0x0fff};
    const tt_window *window = layer->window;
    const size_t row = (size_t)window->out_w * window->out_c;
    const size_t step = 4 * (size_t)window->out_c;
    const uint32_t groups = window->out_w / 4U;
    const uint32_t rest = window->out_w % 4U;
    tt_walk next = {groups,
                    end - begin,
                    0xffff,
                    layer->rows * row - groups * step,
                    (rows == 2 ? 2 : layer->vectors) + layer->form,
                    begin * layer->strip_size,
                    (begin * layer->rows + j) * row,
                    sizeof(int8_t[VECTORS][16]) * j};
    if (begin < end && groups > 0) {
        *walk++ = next;
    }
    if (begin < end && rest > 0) {
        next.groups = 1;
        next.inside = (rows == 2 ? rest_of_pair : rest_of_row)[rest];
        next.gap = layer->rows * row - step;
        next.strip_offset += groups * 4 * window->stride_w * layer->groups * GROUP;
        next.y_offset += groups * step;
        *walk++ = next;
    }
    return walk;
}

/* The walks that make the outputs of strips [first, first + strips) of the layer; returns how many. */
static size_t plan(const tt_depthwise *layer, uint32_t first, uint32_t strips, tt_walk walks[WALKS])
{
    const tt_window *window = layer->window;
    tt_walk *walk = walks;
    if (layer->is_paired) {
        /* The last strip may have one row only. */
        const uint32_t all = window->out_h / 2U;
        const uint32_t whole = all < first + strips ? all - first : strips;
        walk = add_walks(layer, 2, 0, 0, whole, walk);
        walk = add_walks(layer, 1, 0, whole, strips, walk);
        return (size_t)(walk - walks);
    }
    for (uint32_t j = 0; j < layer->rows; j++) {
        /* The last strip may end before row j. */
        const uint32_t whole = (first + strips - 1) * layer->rows + j < window->out_h ? strips : strips - 1;
        walk = add_walks(layer, 1, j, 0, whole, walk);
    }
    return (size_t)(walk - walks);
}

static inline int8x16_t weights_of(const tt_weave *weave, uint32_t v, const int8_t *weights)
{
    return vldrbq_gather_offset_z_s8(weights, vldrbq_u8(weave->tap[v]), weave->inside[v]);
}

/* The weights of one channel as its walks want them; returns their sum. */
static inline int32_t load_weights(const tt_depthwise *layer, uint32_t rows, uint32_t vectors, const int8_t *weights,
                                   tt_lane_job *job)
{
    const int8x16_t first = weights_of(&layer->weave[0], 0, weights);
    int32_t sum = vaddvq_s8(first);
    vstrbq_s8(job->w[0][0], first);
    for (uint32_t v = 1; v < vectors; v++) {
        const int8x16_t w = weights_of(&layer->weave[0], v, weights);
        vstrbq_s8(job->w[0][v], w);
        sum = vaddvaq_s8(sum, w);
    }
    for (uint32_t j = 1; j < rows; j++) {
        for (uint32_t v = 0; v < vectors; v++) {
            vstrbq_s8(job->w[j][v], weights_of(&layer->weave[j], v, weights));
        }
    }
    return sum;
}

/* Entry k of a list of channels. */
static inline size_t channel_of(const uint16_t *outputs, size_t k)
{
    return outputs == NULL ? k : outputs[k];
}

/* An output channel whose shift is not -1, which is rare: x and y point to the channel. */
static void convolve_scalar(const tt_window *window, const tt_requant *requant, size_t o, const int8_t *weights,
                            int32_t bias, const int8_t *x, int8_t *y)
{
    for (uint32_t oh = 0; oh < window->out_h; oh++) {
        const tt_taps rows = tt_rows_at(window, oh);
        for (uint32_t ow = 0; ow < window->out_w; ow++, y += window->out_c) {
            const tt_taps columns = tt_columns_at(window, ow);
            int32_t acc = bias;
            for (uint32_t kh = rows.begin; kh < rows.end; kh++) {
                for (uint32_t kw = columns.begin; kw < columns.end; kw++) {
                    const int32_t element = x[tt_tap_offset(window, rows, columns, kh, kw)];
                    acc += (element - requant->input_zero) * weights[kh * window->kernel_w + kw];
                }
            }
            *y = tt_requantize_s8(requant, o, acc);
        }
    }
}

/* Some of the channels of a layer: entries [begin, end) of the list, whose inputs are in the strips. */
typedef struct {
    const int8_t *weights;
    const uint16_t *outputs;
    const int32_t *bias;
    size_t begin, end;
    size_t multiple; /* outputs of an input */
    size_t first;    /* input channel of the strips */
} tt_channels;

/* The channels through the walks; y points to the first row of the strips. Channels of another shift are left out. rows
 * and vectors are the layer's, and constants after inlining. */
static inline void convolve(const tt_depthwise *layer, uint32_t rows, uint32_t vectors, const tt_channels *channels,
                            tt_lane_job *job, const tt_walk *walks, size_t walk_count, int8_t *y)
{
    const tt_requant *requant = layer->requant;
    const size_t area = (size_t)layer->window->kernel_h * layer->window->kernel_w;
    const int8_t *weights = channels->weights + channels->begin * area;
    const int32_t zero = requant->input_zero;
    for (size_t k = channels->begin; k < channels->end; k++, weights += area) {
        const size_t o = channel_of(channels->outputs, k);
        const size_t input = channels->multiple == 1 ? o : o / channels->multiple;
        if (!layer->is_high_word && requant->shift[o] != -1) {
            continue;
        }
        job->bias = channels->bias[o] - zero * load_weights(layer, rows, vectors, weights, job);
        job->multiplier = requant->multiplier[o];
        take(job, walks, layer->strips + 4 * (input - channels->first), y + o);
        for (size_t i = 1; i < walk_count; i++) {
            take(job, &walks[i], layer->strips + 4 * (input - channels->first), y + o);
        }
    }
}

/* What most channels are: all of a layer, with an input each. */
static inline void convolve_plain(const tt_depthwise *layer, uint32_t rows, uint32_t vectors,
                                  const tt_channels *channels, tt_lane_job *job, const tt_walk *walk, int8_t *y)
{
    const size_t area = (size_t)layer->window->kernel_h * layer->window->kernel_w;
    const size_t begin = channels->begin;
    const int8_t *weights = channels->weights + begin * area;
    const int32_t *bias = channels->bias + begin;
    const int32_t *multiplier = layer->requant->multiplier + begin;
    const int8_t *strip = layer->strips;
    const int32_t zero = layer->requant->input_zero;
    y += begin;
    for (size_t left = channels->end - begin; left > 0; left--, weights += area, strip += 4) {
        job->bias = *bias++ - zero * load_weights(layer, rows, vectors, weights, job);
        job->multiplier = *multiplier++;
        take(job, walk, strip, y++);
    }
}

__attribute__((noinline)) /* for registers of its own */
static void convolve_strips(const tt_depthwise *layer, const tt_channels *channels, tt_lane_job *job,
                            const tt_walk *walks, size_t walk_count, int8_t *y)
{
    const int is_plain =
        layer->is_high_word && channels->outputs == NULL && channels->multiple == 1 && walk_count == 1;
    if (!is_plain) {
        convolve(layer, layer->rows, layer->vectors, channels, job, walks, walk_count, y);
    } else if (layer->is_paired) {
        convolve_plain(layer, 2, 1, channels, job, walks, y);
    } else if (layer->vectors == 3) {
        convolve_plain(layer, 1, 3, channels, job, walks, y);
    } else if (layer->vectors == 4) {
        convolve_plain(layer, 1, 4, channels, job, walks, y);
    } else {
        convolve_plain(layer, 1, 1, channels, job, walks, y);
    }
}

void tt_depthwise_conv2d_s8_mve(const tt_window *window, const tt_requant *requant, const int8_t *weights,
                                const uint16_t *outputs, size_t count, const int32_t *bias, const int8_t *x, int8_t *y,
                                void *scratch)
{
    if (!is_woven(window)) {
        tt_depthwise_conv2d_s8(window, requant, weights, outputs, count, bias, x, y, scratch);
        return;
    }
    const size_t area = (size_t)window->kernel_h * window->kernel_w;
    const size_t multiple = window->out_c / window->in_c;
    tt_depthwise layer;
    tt_lane_job job;
    begin(window, requant, &layer, scratch);
    begin_job(&layer, &job);
    const uint32_t strips = (window->out_h + layer.rows - 1U) / layer.rows;
    const uint32_t room = STRIPS_SIZE / layer.strip_size;
    const uint32_t batch = room == 0 ? 1 : room < strips ? room : strips;
    tt_channels channels = {weights, outputs, bias, 0, 0, multiple, 0};
    for (size_t c = 0; c < window->in_c; c += CHANNELS) {
        const size_t inputs = window->in_c - c < CHANNELS ? window->in_c - c : CHANNELS;
        channels.begin = channels.end;
        channels.first = c;
        if (outputs == NULL) {
            channels.end = (c + inputs) * multiple < count ? (c + inputs) * multiple : count;
        } else {
            while (channels.end < count && outputs[channels.end] < (c + inputs) * multiple) {
                channels.end++;
            }
        }
        for (uint32_t first = 0; first < strips && channels.begin < channels.end; first += batch) {
            const uint32_t made = strips - first < batch ? strips - first : batch;
            int8_t *rows = y + (size_t)first * layer.rows * window->out_w * window->out_c;
            tt_walk walks[WALKS];
            const size_t walk_count = plan(&layer, first, made, walks);
            weave_strips(&layer, first, made, (uint32_t)inputs, x + c);
            convolve_strips(&layer, &channels, &job, walks, walk_count, rows);
        }
    }
    for (size_t k = 0; !layer.is_high_word && k < count; k++) {
        const size_t o = channel_of(outputs, k);
        if (requant->shift[o] != -1) {
            convolve_scalar(window, requant, o, weights + k * area, bias[o], x + o / multiple, y + o);
        }
    }
}

#endif
