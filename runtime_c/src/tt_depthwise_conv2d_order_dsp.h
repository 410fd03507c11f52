/* The weights of a channel in the order of tt_depthwise_conv2d_rows_dsp.h, where a window fills the
 * rows of its kind: what tt_view_order_dsp does for any view, in a fifth of the time. */
#ifndef TT_DEPTHWISE_CONV2D_ORDER_DSP_H
#define TT_DEPTHWISE_CONV2D_ORDER_DSP_H

#include "tt_depthwise_conv2d_view_dsp.h"
#include "tt_lanes_dsp.h"

#if defined(__ARM_FEATURE_SIMD32)

/* Four successive taps, w[0] the first of them to the right, as s16: taps 0 and 2, taps 1 and 3. */
static inline tt_quad tt_four_taps(const int8_t *w, int32_t right)
{
    return tt_centred_quad(right > 0 ? tt_word_at(w) : __builtin_bswap32(tt_word_at(w - 3)), 0);
}

/* Of four taps, the first two, the middle two, the last two. */
static inline int32_t tt_first_taps(tt_quad quad)
{
    return tt_lows(quad.even, quad.odd);
}

static inline int32_t tt_middle_taps(tt_quad quad)
{
    return tt_low_and_high(quad.odd, quad.even);
}

static inline int32_t tt_last_taps(tt_quad quad)
{
    return tt_highs(quad.even, quad.odd);
}

static inline void tt_order_3x3(const int8_t *w, int32_t down, int32_t right, int32_t *taps)
{
#pragma GCC unroll 3
    for (uint32_t r = 0; r < 3; r++, w += down, taps += 2) {
        const int32_t middle = w[right];
        const int32_t last = w[2 * right];
        taps[0] = tt_lows(w[0], middle);
        taps[1] = tt_lows(middle, last);
    }
}

/* A lead of 1, or 0. */
static inline void tt_order_3x3_stride2(const int8_t *w, uint32_t lead, int32_t *taps)
{
#pragma GCC unroll 3
    for (uint32_t r = 0; r < 3; r++, w += 3, taps += 2) {
        taps[0] = lead != 0 ? w[0] * (1 << 16) : tt_lows(w[0], w[1]);
        taps[1] = lead != 0 ? tt_lows(w[1], w[2]) : w[2] & 0xFFFF;
    }
}

static inline void tt_order_5(uint32_t taps_h, const int8_t *w, int32_t down, int32_t right,
                              int32_t *taps)
{
    for (const int32_t *end = taps + (size_t)taps_h * 4; taps != end; w += down, taps += 4) {
        const tt_quad begin = tt_four_taps(w, right);
        const int32_t last = w[4 * right];
        taps[0] = tt_first_taps(begin);
        taps[1] = tt_last_taps(begin);
        taps[2] = tt_middle_taps(begin);
        taps[3] = tt_lows(begin.odd >> 16, last);
    }
}

/* The same where lead and taps_w, of any step to the right, leave some of the five columns 0. */
static inline void tt_order_up_to_5(const tt_view *view, const int8_t *w, int32_t *taps)
{
    const int32_t right = view->tap_right;
    const size_t last = view->lead + view->taps_w;
    const int32_t *end = taps + (size_t)view->taps_h * 4;
    if (view->lead == 1 && last >= 4) {
        for (; taps != end; w += view->tap_down, taps += 4) {
            const int32_t second = w[right];
            const int32_t third = w[2 * right];
            const int32_t fourth = last == 5 ? w[3 * right] : 0;
            const int32_t first = w[0];
            taps[0] = first * (1 << 16);
            taps[1] = tt_lows(second, third);
            taps[2] = tt_lows(first, second);
            taps[3] = tt_lows(third, fourth);
        }
        return;
    }
    for (; taps != end; w += view->tap_down, taps += 4) {
        /* s16 i of a row goes to place i if i < 4 and to place i + 3 if i > 0. */
        int16_t *places = (int16_t *)taps;
        const int8_t *tap = w;
        taps[0] = taps[1] = taps[2] = taps[3] = 0;
        for (size_t i = view->lead; i < last; i++, tap += right) {
            if (i < 4) {
                places[i] = *tap;
            }
            if (i > 0) {
                places[i + 3] = *tap;
            }
        }
    }
}

static inline void tt_order_7(uint32_t taps_h, const int8_t *w, int32_t down, int32_t right,
                              int32_t *taps)
{
    for (const int32_t *end = taps + (size_t)taps_h * 6; taps != end; w += down, taps += 6) {
        const tt_quad begin = tt_four_taps(w, right);
        const tt_quad rest = tt_four_taps(w + 3 * right, right);
        taps[0] = tt_first_taps(begin);
        taps[1] = tt_middle_taps(begin);
        taps[2] = tt_last_taps(begin);
        taps[3] = tt_first_taps(rest);
        taps[4] = tt_middle_taps(rest);
        taps[5] = tt_last_taps(rest);
    }
}

/* A lead of 1. */
static inline void tt_order_7_stride2(uint32_t taps_h, const int8_t *w, int32_t *taps)
{
    for (const int32_t *end = taps + (size_t)taps_h * 4; taps != end; w += 7, taps += 4) {
        const tt_quad begin = tt_four_taps(w, 1);
        const tt_quad rest = tt_four_taps(w + 3, 1);
        taps[0] = w[0] * (1 << 16);
        taps[1] = tt_middle_taps(begin);
        taps[2] = tt_first_taps(rest);
        taps[3] = tt_last_taps(rest);
    }
}

#endif
#endif
