/* Gradient of the input of a convolution on a core with DSP instructions.
 *
 * Eight input positions at a time: the gradients of the outputs that read them, times the factors of their channels,
 * become s16 pairs in scratch once, and meet each column of weights there (tt_dot8_dsp.h). Few positions, or windows
 * too large for scratch, go one by one.
 */
#include "tt_gradient.h"
#include "tt_lanes_dsp.h"
#include "tt_requantize_dsp.h"

#if defined(__ARM_FEATURE_SIMD32)

typedef struct {
    const tt_window *window;
    const tt_segment *segments;
    size_t segment_count;
    const tt_factors *factors;
    const int8_t *g;
    size_t area;
    size_t outputs; /* of a group */
    size_t pairs;   /* of them, the last one maybe half */
} gradient;

/* Two s16 in one word, `low` in its low half. */
static inline int32_t packed(int32_t low, int32_t high)
{
    return (int32_t)((uint32_t)(uint16_t)low | (uint32_t)high << 16);
}

/* pre(G, m) of the channels of one group at one output position, as pairs `stride` words apart; behind an odd last
 * channel stands 0. */
static void fill_lane(const gradient *c, size_t first, const int8_t *element, int32_t *lane, size_t stride)
{
    const int16_t *m = c->factors->integer + first;
    const int8_t *g = element + first;
    for (size_t left = c->outputs; left >= 2; left -= 2, g += 2, m += 2, lane += stride) {
        *lane = packed((g[0] * m[0] + (1 << 6)) >> 7, (g[1] * m[1] + (1 << 6)) >> 7);
    }
    if (c->outputs % 2 != 0) {
        *lane = packed((g[0] * m[0] + (1 << 6)) >> 7, 0);
    }
}

/* All taps of `lanes` input positions from `position` on; taps that no output has are 0. */
static void fill(const gradient *c, size_t position, size_t lanes, size_t group, int32_t *tile, size_t stride)
{
    const tt_window *window = c->window;
    uint32_t ih = (uint32_t)(position / window->in_w);
    uint32_t iw = (uint32_t)(position % window->in_w);
    for (; lanes > 0; lanes--, tile++) {
        int32_t *lane = tile;
        for (uint32_t kh = 0; kh < window->kernel_h; kh++) {
            const int32_t oh = tt_output_row(window, ih, kh);
            for (uint32_t kw = 0; kw < window->kernel_w; kw++, lane += c->pairs * stride) {
                const int32_t ow = oh < 0 ? -1 : tt_output_column(window, iw, kw);
                if (ow >= 0) {
                    fill_lane(c, group * c->outputs, c->g + ((size_t)oh * window->out_w + (size_t)ow) * window->out_c,
                              lane, stride);
                    continue;
                }
                for (size_t pair = 0; pair < c->pairs; pair++) {
                    lane[pair * stride] = 0;
                }
            }
        }
        iw++;
        if (iw == window->in_w) {
            iw = 0;
            ih++;
        }
    }
}

/* dx[lane * step] from eight sums; only the first `lanes` exist. */
static void round8(const int32_t *acc, size_t lanes, tt_rounding *rounding, int8_t *dx, size_t step)
{
    const int32_t shift = rounding->shift;
    if (shift < 1 || shift > 30 || lanes < TT_LANES) {
        for (size_t lane = 0; lane < lanes; lane++) {
            dx[lane * step] = tt_rounded_s8(acc[lane], rounding);
        }
        return;
    }
    /* tt_rh; what saturates is rare, and written again. */
    const int32_t half = (1 << (shift - 1)) - 1;
    int32_t peak = 0;
    int8_t *out = dx;
#pragma GCC unroll 8
    for (size_t lane = 0; lane < TT_LANES; lane++, out += step) {
        const int32_t r = (acc[lane] + half + ((acc[lane] >> shift) & 1)) >> shift;
        const int32_t magnitude = r < 0 ? -r : r;
        peak = magnitude > peak ? magnitude : peak;
        *out = (int8_t)r;
    }
    if (peak > INT8_MAX) {
        for (size_t lane = 0; lane < TT_LANES; lane++) {
            dx[lane * step] = tt_rounded_s8(acc[lane], rounding);
        }
    }
    rounding->peak = peak > rounding->peak ? peak : rounding->peak;
}

static void tile8(const gradient *c, size_t position, size_t lanes, tt_rounding *rounding, int8_t *dx, int32_t *tile)
{
    const tt_window *window = c->window;
    const size_t per_group = window->in_c / window->groups;
    for (size_t group = 0; group < window->groups; group++) {
        fill(c, position, lanes, group, tile, TT_LANES);
        for (size_t s = 0; s < c->segment_count; s++) {
            const tt_segment *segment = &c->segments[s];
            const size_t step = c->area * segment->count;
            const int8_t *w = segment->weights + group * c->outputs * step;
            for (size_t j = 0; j < segment->count; j++, w++) {
                int32_t acc[TT_LANES] = {0};
                for (size_t tap = 0; tap < c->area; tap++) {
                    const int32_t *terms = tile + tap * c->pairs * TT_LANES;
                    const int8_t *column = w + tap * segment->count;
                    if (c->outputs >= 2) {
                        tt_dot8_pairs_dsp(acc, terms, column, c->outputs / 2, step);
                    }
                    if (c->outputs % 2 != 0) {
                        const int32_t last = column[(c->outputs - 1) * step];
                        for (size_t lane = 0; lane < TT_LANES; lane++) {
                            acc[lane] += (int16_t)terms[(c->pairs - 1) * TT_LANES + lane] * last;
                        }
                    }
                }
                const size_t channel = segment->channels == NULL ? j : segment->channels[j];
                round8(acc, lanes, rounding, dx + position * window->in_c + group * per_group + channel, window->in_c);
            }
        }
    }
}

/* The sums of one tap for `columns` successive columns, four at a time or one. */
static void add_columns(const gradient *c, const int32_t *terms, const int8_t *w, size_t step, size_t columns,
                        int32_t *acc)
{
    for (size_t o = 0; o < c->outputs; o += 2, w += 2 * step, terms++) {
        if (columns == 1 || o + 1 == c->outputs) {
            for (size_t k = 0; k < columns; k++) {
                acc[k] += (int16_t)*terms * w[k];
                acc[k] += o + 1 == c->outputs ? 0 : (*terms >> 16) * w[k + step];
            }
            continue;
        }
        const tt_quad upper = tt_centred_quad(tt_word_at(w), 0);
        const tt_quad lower = tt_centred_quad(tt_word_at(w + step), 0);
        acc[0] = __smlad(*terms, packed(upper.even, lower.even), acc[0]);
        acc[1] = __smlad(*terms, packed(upper.odd, lower.odd), acc[1]);
        acc[2] = __smlad(*terms, packed(upper.even >> 16, lower.even >> 16), acc[2]);
        acc[3] = __smlad(*terms, packed(upper.odd >> 16, lower.odd >> 16), acc[3]);
    }
}

static void one(const gradient *c, size_t position, tt_rounding *rounding, int8_t *dx, int32_t *terms)
{
    const tt_window *window = c->window;
    const size_t per_group = window->in_c / window->groups;
    for (size_t group = 0; group < window->groups; group++) {
        int8_t *out = dx + position * window->in_c + group * per_group;
        fill(c, position, 1, group, terms, 1);
        for (size_t s = 0; s < c->segment_count; s++) {
            const tt_segment *segment = &c->segments[s];
            const size_t step = c->area * segment->count;
            const int8_t *w = segment->weights + group * c->outputs * step;
            for (size_t j = 0; j < segment->count;) {
                const size_t columns = segment->count - j >= 4 ? 4 : 1;
                int32_t acc[4] = {0};
                for (size_t tap = 0; tap < c->area; tap++) {
                    add_columns(c, terms + tap * c->pairs, w + tap * segment->count + j, step, columns, acc);
                }
                for (size_t k = 0; k < columns; k++, j++) {
                    out[segment->channels == NULL ? j : segment->channels[j]] = tt_rounded_s8(acc[k], rounding);
                }
            }
        }
    }
}

void tt_conv2d_s8_grad_input_dsp(const tt_window *window, const tt_segment *segments, size_t segment_count,
                                 const tt_factors *factors, const tt_rescale *rescale, const int8_t *g, int8_t *dx,
                                 void *scratch)
{
    const size_t positions = (size_t)window->in_h * window->in_w;
    const size_t area = (size_t)window->kernel_h * window->kernel_w;
    const size_t outputs = window->out_c / window->groups;
    const gradient c = {window, segments, segment_count, factors, g, area, outputs, (outputs + 1) / 2};
    tt_rounding rounding = tt_rounding_begin_s8(rescale);
    size_t position = 0;
    /* A tile costs as much as five single positions; lanes without one hold whatever was there. */
    while (area * c.pairs <= TT_TILE_PAIRS_DSP && positions - position >= 5) {
        const size_t lanes = positions - position < TT_LANES ? positions - position : TT_LANES;
        tile8(&c, position, lanes, &rounding, dx, scratch);
        position += lanes;
    }
    for (; position < positions; position++) {
        one(&c, position, &rounding, dx, scratch);
    }
    tt_rounding_end_s8(rescale, rounding);
}

#endif
