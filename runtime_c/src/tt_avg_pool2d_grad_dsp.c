/* Gradient of an average pool on a core with DSP instructions. tt_avg_pool2d_grad.inc.h is the
 * reference. */
#include "tt_avg_pool2d.h"
#include "tt_kernels_dsp.h"
#include "tt_lanes_dsp.h"

#if defined(__ARM_FEATURE_SIMD32)

/* pre(G, m) of the lower and of the upper half of a pair: tt_factored_s8 on the way to a sum. */
static inline int32_t lower(int16x2_t pair, int32_t m)
{
    return __smlabb((int32_t)pair, m, 1 << 6) >> 7;
}

static inline int32_t upper(int16x2_t pair, int32_t m)
{
    return __smlatb((int32_t)pair, m, 1 << 6) >> 7;
}

/* tt_rounded_s8 for a shift of 1 to 30; |acc| <= 2^30. */
static inline int8_t rounded(int32_t acc, int32_t shift, int32_t below_half, int32_t *peak)
{
    const int32_t r = (acc + below_half + ((acc >> shift) & 1)) >> shift;
    const int32_t magnitude = r < 0 ? -r : r;
    *peak = magnitude > *peak ? magnitude : *peak;
    return (int8_t)tt_clamp_s32(r, -INT8_MAX, INT8_MAX);
}

TT_ALONE static void mean_gradient(const tt_pool_window *windows, size_t count, size_t channels,
                                   tt_rounding *rounding, int8_t *dx)
{
    const tt_pool_window *end = windows + count;
    const int32_t shift = rounding->shift;
    const int32_t below_half = (1 << (shift - 1)) - 1;
    int32_t peak = rounding->peak;
    size_t c = 0;
    for (; c + 4 <= channels; c += 4) {
        int32_t acc0 = 0;
        int32_t acc1 = 0;
        int32_t acc2 = 0;
        int32_t acc3 = 0;
        for (const tt_pool_window *window = windows; window != end; window++) {
            const tt_quad quad = tt_centred_quad(tt_word_at(window->g + c), 0);
            acc0 += lower(quad.even, window->factor);
            acc1 += lower(quad.odd, window->factor);
            acc2 += upper(quad.even, window->factor);
            acc3 += upper(quad.odd, window->factor);
        }
        dx[c] = rounded(acc0, shift, below_half, &peak);
        dx[c + 1] = rounded(acc1, shift, below_half, &peak);
        dx[c + 2] = rounded(acc2, shift, below_half, &peak);
        dx[c + 3] = rounded(acc3, shift, below_half, &peak);
    }
    for (; c < channels; c++) {
        int32_t acc = 0;
        for (const tt_pool_window *window = windows; window != end; window++) {
            acc += (window->g[c] * window->factor + (1 << 6)) >> 7;
        }
        dx[c] = rounded(acc, shift, below_half, &peak);
    }
    rounding->peak = peak;
}

static void repeat(int8_t *to, size_t distance, size_t size)
{
    const int8_t *from = to - distance;
    for (; distance >= 16 && size >= 16; size -= 16, from += 16, to += 16) {
        uint32_t words[4];
        memcpy(words, from, sizeof words);
        memcpy(to, words, sizeof words);
    }
    for (; size > 0; size--) {
        *to++ = *from++;
    }
}

void tt_avg_pool2d_s8_grad_dsp(const tt_window *window, const tt_factors *factors,
                               int count_include_pad, const tt_rescale *rescale, const int8_t *g,
                               int8_t *dx)
{
    tt_rounding rounding = tt_rounding_begin_s8(rescale);
    if (rounding.shift < 1 || rounding.shift > 30) {
        tt_avg_pool2d_s8_grad(window, factors, count_include_pad, rescale, g, dx);
        return;
    }
    tt_pool_gradient_of_patches(window, factors, count_include_pad, g, mean_gradient, repeat,
                                &rounding, dx);
    tt_rounding_end_s8(rescale, rounding);
}

#endif
