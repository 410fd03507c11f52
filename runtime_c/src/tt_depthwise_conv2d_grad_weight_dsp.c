/* Gradient of a depthwise convolution's weights and their update on a core with DSP instructions.
 *
 * The sum of a tap runs over pairs of positions of a row, so that gradients and elements that meet
 * have to lie alike in words: gradients stand in planes twice, from the first element of a word on
 * (for even taps) and from the second (for odd taps). A stride of 2 makes two planes of the input,
 * of even and of odd columns, each for every second tap.
 */
#include "tt_depthwise_conv2d_planes_dsp.h"
#include "tt_sgd_dsp.h"

#if defined(__ARM_FEATURE_SIMD32)
#include <arm_acle.h>

#define MOST_STRIDE 2

typedef struct {
    const tt_window *window;
    int8_t x_zero;
    uint32_t most;              /* rows of gradients in a strip */
    tt_planes x[MOST_STRIDE];   /* every stride_w-th column, from the first, the second, ... on,
                                   padding included */
    uint32_t lead[MOST_STRIDE]; /* columns before the padding that make the map begin in the low
                                   half of a word */
    tt_planes even;             /* gradients from the first element of a word on */
    uint32_t *odd;              /* the same from the second on */
    size_t quads;               /* of sums of a row of taps over one of the x */
    int32_t *sums;              /* [TT_PLANES][kernel_h][stride_w][4 * quads] */
    int32_t *row;               /* [kernel_h][kernel_w] */
} gradient;

/* Divides the workspace: planes of the input, of gradients, sums. */
static void begin(gradient *c, const int8_t *x, const int8_t *g, void *workspace)
{
    const tt_window *window = c->window;
    const uint32_t stride = window->stride_w;
    const uint32_t area = (uint32_t)window->kernel_h * window->kernel_w;
    const uint32_t pairs = window->out_w / 2U + 1;
    c->quads = ((window->kernel_w + stride - 1) / stride + 4) / 4;
    const uint32_t pitch = pairs + 2 * (uint32_t)c->quads;
    const uint32_t sums = TT_PLANES * window->kernel_h * stride * 4 * (uint32_t)c->quads;
    const int32_t x_row = (int32_t)(TT_PLANES * 4 * pitch * stride);
    const int32_t more = x_row * window->stride_h + (int32_t)(TT_PLANES * 4 * pairs * 2);
    const int32_t rest = x_row * (window->kernel_h - window->stride_h) + 4 * (int32_t)(sums + area);
    c->most = (uint32_t)tt_clamp_s32((TT_STRIP_BYTES_DSP - rest) / more, 1, window->out_h);
    uint32_t *planes = workspace;
    for (uint32_t k = 0; k < stride; k++) {
        const uint32_t left =
            window->pad_left > k ? (window->pad_left - k + stride - 1) / stride : 0;
        const uint32_t first = left * stride + k - window->pad_left;
        const uint32_t width =
            window->in_w > first ? (window->in_w - first + stride - 1) / stride : 0;
        c->lead[k] = left % 2;
        c->x[k] = (tt_planes){.map = x + (width > 0 ? (size_t)first * window->in_c : 0),
                              .height = window->in_h,
                              .width = width,
                              .row_step = (uint32_t)window->in_w * window->in_c,
                              .step = stride * window->in_c,
                              .top = window->pad_top,
                              .left = left + c->lead[k],
                              .pitch = pitch,
                              .rows = (c->most - 1) * window->stride_h + window->kernel_h,
                              .planes = planes};
        planes += (size_t)TT_PLANES * c->x[k].rows * pitch;
    }
    c->even = (tt_planes){.map = g,
                          .height = window->out_h,
                          .width = window->out_w,
                          .row_step = (uint32_t)window->out_w * window->out_c,
                          .step = window->out_c,
                          .pitch = pairs,
                          .rows = c->most,
                          .planes = planes};
    c->odd = planes + (size_t)TT_PLANES * c->most * pairs;
    c->sums = (int32_t *)(c->odd + (size_t)TT_PLANES * c->most * pairs);
    c->row = c->sums + sums;
}

/* Rows that meet: of the input from x on, of gradients from even and odd on, and words between
 * those of each. */
typedef struct {
    const uint32_t *x, *even, *odd;
    size_t rows, pairs, x_skip;
} meeting;

/* Adds to the sums of four successive taps, the first an even one. A function of its own, that its
 * loop gets all registers. */
__attribute__((noinline)) static void add_rows(const meeting *m, int32_t *sums)
{
    const uint32_t *x = m->x;
    const uint32_t *even = m->even;
    const uint32_t *odd = m->odd;
    const size_t x_skip = m->x_skip;
    int32_t sum0 = sums[0];
    int32_t sum1 = sums[1];
    int32_t sum2 = sums[2];
    int32_t sum3 = sums[3];
    for (size_t rows = m->rows; rows > 0; rows--, x += x_skip) {
        uint32_t here = *x++;
        for (const uint32_t *end = even + m->pairs; even != end;) {
            const uint32_t next = *x++;
            const uint32_t even_pair = *even++;
            const uint32_t odd_pair = *odd++;
            sum0 = __smlad((int16x2_t)here, (int16x2_t)even_pair, sum0);
            sum1 = __smlad((int16x2_t)here, (int16x2_t)odd_pair, sum1);
            sum2 = __smlad((int16x2_t)next, (int16x2_t)even_pair, sum2);
            sum3 = __smlad((int16x2_t)next, (int16x2_t)odd_pair, sum3);
            here = next;
        }
    }
    sums[0] = sum0;
    sums[1] = sum1;
    sums[2] = sum2;
    sums[3] = sum3;
}

/* Adds what a strip brings to taps k, k + stride_w, ... of row kh, for all channels in the
 * planes. */
static void add_taps(const gradient *c, uint32_t kh, uint32_t k, size_t channels)
{
    const tt_window *window = c->window;
    const tt_planes *planes = &c->x[k];
    const uint32_t stride = window->stride_h;
    const size_t pairs = c->even.pitch;
    /* Rows [begin, end) of gradients meet a row of the map; rows of a strip behind the last
     * gradient are 0. */
    const uint32_t at = planes->strip + kh;
    const uint32_t bottom = planes->top + planes->height;
    const uint32_t begin = at < planes->top ? (planes->top - at + stride - 1) / stride : 0;
    const uint32_t all = at < bottom ? (bottom - at + stride - 1) / stride : 0;
    const uint32_t end = all < c->most ? all : c->most;
    if (begin >= end) {
        return;
    }
    for (size_t i = 0; i < channels; i++) {
        int32_t *sums =
            c->sums + ((i * window->kernel_h + kh) * window->stride_w + k) * 4 * c->quads;
        meeting m = {planes->planes + (i * planes->rows + kh + begin * stride) * planes->pitch,
                     c->even.planes + (i * c->most + begin) * pairs,
                     c->odd + (i * c->most + begin) * pairs,
                     end - begin,
                     pairs,
                     stride * planes->pitch - pairs - 1};
        for (size_t quad = 0; quad < c->quads; quad++, m.x += 2, sums += 4) {
            add_rows(&m, sums);
        }
    }
}

/* Gradients from the second element of a word on. */
static void shift(const gradient *c, size_t channels)
{
    const uint32_t *even = c->even.planes;
    uint32_t *odd = c->odd;
    for (size_t rows = channels * c->most; rows > 0; rows--) {
        uint32_t before = 0;
        for (size_t p = 0; p < c->even.pitch; p++) {
            const uint32_t pair = *even++;
            *odd++ = before >> 16 | pair << 16;
            before = pair;
        }
    }
}

static void fill(const tt_planes *planes, const uint16_t *channel, size_t channels, int8_t zero)
{
    const tt_planes_rows rows = tt_planes_rows_dsp(planes, 0);
    tt_planes_outside_dsp(planes, &rows, channels);
    tt_planes_fill_dsp(planes, &rows, channel, channels, &(const tt_planes_values){NULL, zero});
}

static void sum_channels(gradient *c, const uint16_t *channel, size_t channels)
{
    const tt_window *window = c->window;
    for (int32_t *sum = c->sums; sum != c->row; sum++) {
        *sum = 0;
    }
    for (uint32_t first = 0; first < window->out_h; first += c->most) {
        c->even.strip = first;
        fill(&c->even, channel, channels, 0);
        shift(c, channels);
        for (uint32_t k = 0; k < window->stride_w; k++) {
            c->x[k].strip = first * window->stride_h;
            fill(&c->x[k], channel, channels, c->x_zero);
            for (uint32_t kh = 0; kh < window->kernel_h; kh++) {
                add_taps(c, kh, k, channels);
            }
        }
    }
}

/* The sums of a channel in the order of its weights. */
static void order(const gradient *c, size_t i)
{
    const tt_window *window = c->window;
    const uint32_t stride = window->stride_w;
    const int32_t *sums = c->sums + i * window->kernel_h * stride * 4 * c->quads;
    for (uint32_t k = 0; k < stride; k++, sums += 4 * c->quads) {
        const int32_t *from = sums + c->lead[k];
        int32_t *row = c->row;
        for (uint32_t kh = 0; kh < window->kernel_h;
             kh++, row += window->kernel_w, from += stride * 4 * c->quads) {
            for (uint32_t kw = k, t = 0; kw < window->kernel_w; kw += stride, t++) {
                row[kw] = from[t];
            }
        }
    }
}

void tt_depthwise_conv2d_s8_grad_weight_dsp(const tt_window *window, const tt_update *update,
                                            const tt_step *step, int8_t x_zero, const int8_t *x,
                                            const int8_t *g, tt_trained *trained, void *workspace)
{
    const size_t area = (size_t)window->kernel_h * window->kernel_w;
    tt_sgd sgd = tt_sgd_begin(update, step);
    gradient c = {.window = window, .x_zero = x_zero};
    begin(&c, x, g, workspace);
    for (uint32_t k = 0; k < window->stride_w; k++) {
        tt_planes_clear_dsp(&c.x[k]);
    }
    tt_planes_clear_dsp(&c.even);
    for (size_t o = 0; o < window->out_c; o += TT_PLANES) {
        const size_t channels = window->out_c - o < TT_PLANES ? window->out_c - o : TT_PLANES;
        uint16_t channel[TT_PLANES];
        tt_planes_channels(NULL, o, channels, channel);
        sum_channels(&c, channel, channels);
        for (size_t i = 0; i < channels; i++) {
            tt_sgd_channel_s8(&sgd, update, step, o + i);
            order(&c, i);
            tt_update_row_dsp(trained, (o + i) * area, area, &sgd, c.row);
        }
    }
}

#endif
