/* Gradient of the input of depthwise convolutions for MVE. tt_depthwise_conv2d_grad.inc.h is the
 * reference.
 *
 * Lanes are channels. For up to 64 listed channels at a time, gradients with their factors become a
 * panel of s16 and weights a table by taps; each position of dx then has a list of the taps that
 * reach it, none of them in the padding. VMULLB and VMULLT give the products of even and odd
 * channels, which VQMOVN brings back in order. dx may be g where both have one shape: the panel
 * takes all that is read of its channels before dx is written. */
#include "tt_kernels_mve.h"

#if defined(__ARM_FEATURE_MVE)

#include "tt_gradient_mve.h"
#include "tt_window.h"

enum { CHANNELS = 64 };

/* What a tap multiplies: eight-aligned pairs for LDRD; addresses or what is added to them. */
typedef struct {
    uint32_t g, w;
} tt_tap;

/* Sums of some channels at one position. */
typedef struct {
    const tt_tap *taps; /* 0 */
    uint32_t count;     /* 4: at least 1 */
    int32_t down;       /* 8: -shift */
    int32_t one;        /* 12 */
    int32_t left[4];    /* 16: 31 - shift */
    int8_t lowest[16];  /* 32 */
} tt_position;

_Static_assert(offsetof(tt_position, count) == 4 && offsetof(tt_position, down) == 8 &&
                   offsetof(tt_position, one) == 12 && offsetof(tt_position, left) == 16 &&
                   offsetof(tt_position, lowest) == 32,
               "the assembly knows these offsets");

/* dx[0 .. channels - 1] at one position; returns the peak. |acc| <= 2^30 by the choice of the
 * factors. In assembly because no compiler keeps four sums, the list and its two offsets in
 * registers here. */
__attribute__((noinline)) /* it takes nearly every register */
static int32_t
sum_position(const tt_position *position, int32_t channels, int32_t peak, int8_t *dx)
{
    /* clang-format off */
#define TT_EIGHT(g, w, even, odd)       \
    "vldrb.s16 q4, [r1" w "]\n"         \
    "vldrh.16 q5, [r0" g "]\n"          \
    "vmullb.s16 q6, q5, q4\n"           \
    "vmullt.s16 q7, q5, q4\n"           \
    "vadd.i32 " even ", " even ", q6\n" \
    "vadd.i32 " odd ", " odd ", q7\n"
#define TT_ROUND(even, odd)             \
    TT_RH(even, "q4", "q6", "r5", "r8") \
    TT_RH(odd, "q4", "q6", "r5", "r8")  \
    "vmaxav.s32 %[peak], " even "\n"    \
    "vmaxav.s32 %[peak], " odd "\n"     \
    "vqmovnb.s32 " even ", " even "\n"  \
    "vqmovnt.s32 " even ", " odd "\n"   \
    "vqmovnb.s16 " even ", " even "\n"  \
    "vmax.s8 " even ", " even ", q7\n"  \
    "vctp.16 %[channels]\n"             \
    "vpst\n"                            \
    "vstrbt.16 " even ", [r6], #8\n"    \
    "subs %[channels], %[channels], #8\n"
    __asm volatile("ldrd r5, r8, [%[position], #8]\n"
                   "mov r6, %[dx]\n"
                   "movs r3, #0\n"
                   "movs r4, #0\n"
                   "2:\n"
                   "vmov.i32 q0, #0\n"
                   "vmov.i32 q1, #0\n"
                   "vmov.i32 q2, #0\n"
                   "vmov.i32 q3, #0\n"
                   "ldrd r2, lr, [%[position]]\n"
                   "dls lr, lr\n"
                   "1:\n"
                   "ldrd r0, r1, [r2], #8\n"
                   "add r0, r3\n"
                   "add r1, r4\n" TT_EIGHT("", "", "q0", "q1")
                   TT_EIGHT(", #16", ", #8", "q2", "q3")
                   "le lr, 1b\n"
                   "vldrw.32 q6, [%[position], #16]\n"
                   "vldrw.32 q7, [%[position], #32]\n" TT_ROUND("q0", "q1")
                   "ble 3f\n" TT_ROUND("q2", "q3")
                   "add r3, #32\n"
                   "add r4, #16\n"
                   "bgt 2b\n"
                   "3:\n"
                   : [channels] "+r"(channels), [peak] "+r"(peak)
                   : [position] "r"(position), [dx] "r"(dx)
                   : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "lr", "q0", "q1", "q2", "q3",
                     "q4", "q5", "q6", "q7", "cc", "memory");
    /* clang-format on */
    return peak;
}

/* The same for shifts that the vectors do not serve. */
static void sum_position_scalar(const tt_position *position, size_t channels, tt_rounding *rounding,
                                int8_t *dx)
{
    for (size_t c = 0; c < channels; c++) {
        int32_t acc = 0;
        for (uint32_t t = 0; t < position->count; t++) {
            const int16_t *g = (const int16_t *)(uintptr_t)position->taps[t].g;
            const int8_t *w = (const int8_t *)(uintptr_t)position->taps[t].w;
            acc += g[c] * w[c];
        }
        dx[c] = tt_rounded_s8(acc, rounding);
    }
}

/* Workspace of a layer, for `width` channels at a time, a multiple of 16. */
typedef struct {
    const tt_window *window;
    size_t width;
    int16_t *panel;   /* [out_h * out_w][width] */
    int8_t *w;        /* [taps + 1][width]: the last tap is 0 */
    int8_t *row;      /* [width]: a position of dx */
    tt_tap *taps;     /* [taps]: of a position */
    tt_tap *rows;     /* [kernel_h]: the part that depends on the row */
    tt_tap *columns;  /* [in_w][kernel_w]: the part that depends on the column */
    uint16_t *counts; /* [in_w]: how many of them */
} tt_layer;

static tt_layer begin(const tt_window *window, size_t count, void *workspace)
{
    const size_t area = (size_t)window->kernel_h * window->kernel_w;
    tt_layer layer = {.window = window,
                      .width = count < CHANNELS ? (count + 15) / 16 * 16 : CHANNELS};
    layer.taps = workspace;
    layer.rows = layer.taps + area;
    layer.columns = layer.rows + window->kernel_h;
    layer.panel = (int16_t *)(void *)(layer.columns + (size_t)window->in_w * window->kernel_w);
    layer.w = (int8_t *)(layer.panel + (size_t)window->out_h * window->out_w * layer.width);
    layer.row = layer.w + (area + 1) * layer.width;
    layer.counts = (uint16_t *)(void *)(layer.row + layer.width);
    for (uint32_t iw = 0; iw < window->in_w; iw++) {
        tt_tap *column = layer.columns + (size_t)iw * window->kernel_w;
        layer.counts[iw] = 0;
        for (uint32_t kw = 0; kw < window->kernel_w; kw++) {
            const int32_t ow = tt_output_column(window, iw, kw);
            if (ow >= 0) {
                column->g = (uint32_t)ow * (uint32_t)(layer.width * sizeof(int16_t));
                column->w = kw * (uint32_t)layer.width;
                column++;
                layer.counts[iw]++;
            }
        }
    }
    return layer;
}

/* The panel and the weights of `count` channels from entry k of the list on; weights point to that
 * entry. Lanes beyond are 0. */
static void load(const tt_layer *layer, const int8_t *weights, const uint16_t *outputs, size_t k,
                 size_t count, const int16_t *factors, const int8_t *g)
{
    const tt_window *window = layer->window;
    const size_t area = (size_t)window->kernel_h * window->kernel_w;
    const size_t positions = (size_t)window->out_h * window->out_w;
    const uint16x8_t lanes = vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)area);
    for (size_t j = 0; j < layer->width; j += 8) {
        const mve_pred16_t inside = vctp16q((uint32_t)(j < count ? count - j : 0));
        uint16x8_t channels = vaddq_n_u16(vidupq_n_u16(0, 1), (uint16_t)(k + j));
        if (outputs != NULL) {
            channels = vldrhq_z_u16(outputs + k + j, inside);
        }
        const int16x8_t m = vldrhq_gather_shifted_offset_z_s16(factors, channels, inside);
        const int8_t *element = g;
        int16_t *to = layer->panel + j;
        for (size_t p = 0; p < positions; p++, element += window->out_c, to += layer->width) {
            const int16x8_t gradient = vldrbq_gather_offset_z_s16(element, channels, inside);
            const int32x4_t even = vmullbq_int_s16(gradient, m);
            const int32x4_t odd = vmulltq_int_s16(gradient, m);
            vstrhq_s16(to, vrshrntq_n_s32(vrshrnbq_n_s32(gradient, even, 7), odd, 7));
        }
        const int8_t *tap = weights + j * area;
        int8_t *row = layer->w + j;
        for (size_t i = 0; i < area; i++, row += layer->width) {
            vstrbq_s16(row, vldrbq_gather_offset_z_s16(tap + i, lanes, inside));
        }
        vstrbq_s16(row, vdupq_n_s16(0));
    }
}

/* The part of taps that depends on the row, for row ih of dx; returns how many. */
static size_t set_rows(const tt_layer *layer, uint32_t ih)
{
    const tt_window *window = layer->window;
    const size_t pitch = (size_t)window->out_w * layer->width;
    tt_tap *row = layer->rows;
    for (uint32_t kh = 0; kh < window->kernel_h; kh++) {
        const int32_t oh = tt_output_row(window, ih, kh);
        if (oh >= 0) {
            row->g = (uint32_t)(uintptr_t)(layer->panel + (size_t)oh * pitch);
            row->w = (uint32_t)(uintptr_t)(layer->w + kh * window->kernel_w * layer->width);
            row++;
        }
    }
    return (size_t)(row - layer->rows);
}

/* The taps that reach a position of the row that is set; returns how many, one of weights 0 where
 * there is none. */
static uint32_t set_taps(const tt_layer *layer, size_t rows, uint32_t iw)
{
    const tt_tap *column = layer->columns + (size_t)iw * layer->window->kernel_w;
    const size_t columns = layer->counts[iw];
    tt_tap *tap = layer->taps;
    for (size_t r = 0; r < rows; r++) {
        const tt_tap row = layer->rows[r];
        for (size_t c = 0; c < columns; c++) {
            tap->g = row.g + column[c].g;
            tap->w = row.w + column[c].w;
            tap++;
        }
    }
    if (tap == layer->taps) {
        const size_t area = (size_t)layer->window->kernel_h * layer->window->kernel_w;
        tap->g = (uint32_t)(uintptr_t)layer->panel;
        tap->w = (uint32_t)(uintptr_t)(layer->w + area * layer->width);
        tap++;
    }
    return (uint32_t)(tap - layer->taps);
}

static void scatter(size_t count, const int8_t *row, const uint16_t *channels, int8_t *dx)
{
    for (size_t j = 0; j < count; j += 8) {
        const mve_pred16_t inside = vctp16q((uint32_t)(count - j));
        vstrbq_scatter_offset_p_s16(dx, vldrhq_z_u16(channels + j, inside), vldrbq_s16(row + j),
                                    inside);
    }
}

void tt_depthwise_conv2d_s8_grad_input_mve(const tt_window *window, const int8_t *weights,
                                           const uint16_t *outputs, size_t count,
                                           const tt_factors *factors, const tt_rescale *rescale,
                                           const int8_t *g, int8_t *dx, void *workspace)
{
    const size_t area = (size_t)window->kernel_h * window->kernel_w;
    tt_rounding rounding = tt_rounding_begin_s8(rescale);
    const int is_vector = tt_is_vector_shift(rounding.shift);
    /* Gathers of weights reach 64 KB. */
    if (window->out_c != window->in_c || 7 * area > UINT16_MAX) {
        tt_depthwise_conv2d_s8_grad_input(window, weights, outputs, count, factors, rescale, g, dx,
                                          workspace);
        return;
    }
    const tt_layer layer = begin(window, count, workspace);
    tt_position position = {.taps = layer.taps, .down = -rounding.shift, .one = 1};
    vstrwq_s32(position.left, vdupq_n_s32(31 - rounding.shift));
    vstrbq_s8(position.lowest, vdupq_n_s8(-INT8_MAX));
    for (size_t k = 0; k < count; k += layer.width) {
        const size_t channels = count - k < layer.width ? count - k : layer.width;
        int8_t *to = dx + (outputs == NULL ? k : 0);
        load(&layer, weights + k * area, outputs, k, channels, factors->integer, g);
        for (uint32_t ih = 0; ih < window->in_h; ih++) {
            const size_t rows = set_rows(&layer, ih);
            for (uint32_t iw = 0; iw < window->in_w; iw++, to += window->in_c) {
                position.count = set_taps(&layer, rows, iw);
                int8_t *row = outputs == NULL ? to : layer.row;
                if (is_vector) {
                    rounding.peak = sum_position(&position, (int32_t)channels, rounding.peak, row);
                } else {
                    sum_position_scalar(&position, channels, &rounding, row);
                }
                if (outputs != NULL) {
                    scatter(channels, row, outputs + k, to);
                }
            }
        }
    }
    tt_rounding_end_s8(rescale, rounding);
}

#endif
