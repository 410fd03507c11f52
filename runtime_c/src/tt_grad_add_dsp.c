/* Sum of the gradients of two branches on a core with DSP instructions. */
#include "tt_gradient.h"
#include "tt_lanes_dsp.h"

#if defined(__ARM_FEATURE_SIMD32)

/* What all elements have in common: sums of 256 / 2^a_shift * a and 256 / 2^b_shift * b, the two
 * factors in halves. */
typedef struct {
    int16x2_t factors;
    int32_t half, shift;
} scales;

/* r = rh(sum - half, shift) for shift in 1..30, half = 2^(shift - 1) being in the sum: only a tie
 * has no lower bits, and only a tie changes by taking the lowest bit that stays from it, which
 * makes it even. */
static inline int32_t rounded(int32_t sum, const scales *s)
{
    return (sum - (int32_t)((uint32_t)sum << (31 - s->shift) >> 31)) >> s->shift;
}

static inline int32_t limit_of(const tt_rounding *rounding)
{
    return rounding->peak < INT8_MAX ? rounding->peak : INT8_MAX;
}

/* Whether r is within the peak and s8: nothing to saturate or to remember. */
static inline int is_within(int32_t r, int32_t limit)
{
    return (uint32_t)(r + limit) <= (uint32_t)(2 * limit);
}

static void add_each(size_t size, const scales *s, const int8_t *a, const int8_t *b, int8_t *out,
                     tt_rounding *rounding)
{
    for (size_t i = 0; i < size; i++) {
        const int32_t sum = __smlabb(a[i], s->factors, __smlabt(b[i], s->factors, s->half));
        out[i] = (int8_t)tt_saturated(rounded(sum, s), INT8_MAX, rounding);
    }
}

void tt_grad_add_s8_dsp(size_t size, const tt_rescale *rescale, int32_t b_exponent, const int8_t *a,
                        const int8_t *b, int8_t *out)
{
    const int32_t a_exponent = rescale->input_exponent;
    const int32_t larger = a_exponent > b_exponent ? a_exponent : b_exponent;
    const int32_t a_shift = larger - a_exponent;
    const int32_t b_shift = larger - b_exponent;
    tt_rounding rounding = tt_rounding_begin_s8(rescale);
    const int32_t shift = rounding.shift - a_shift;
    /* Up to 8 places the smaller branch keeps all its bits, and both are products by powers of
     * two. */
    if (a_shift > 8 || b_shift > 8 || shift < 1 || shift > 30) {
        tt_grad_add_s8(size, rescale, b_exponent, a, b, out);
        return;
    }
    const int16x2_t factors = (int16x2_t)(256U >> a_shift | (256U >> b_shift) << 16);
    const scales s = {factors, 1 << (shift - 1), shift};
    int32_t limit = limit_of(&rounding);
    for (; size >= 4; size -= 4, a += 4, b += 4, out += 4) {
        const tt_quad left = tt_centred_quad(tt_word_at(a), 0);
        const tt_quad right = tt_centred_quad(tt_word_at(b), 0);
        const int32_t r0 =
            rounded(__smlabb(left.even, factors, __smlabt(right.even, factors, s.half)), &s);
        const int32_t r1 =
            rounded(__smlabb(left.odd, factors, __smlabt(right.odd, factors, s.half)), &s);
        const int32_t r2 =
            rounded(__smlatb(left.even, factors, __smlatt(right.even, factors, s.half)), &s);
        const int32_t r3 =
            rounded(__smlatb(left.odd, factors, __smlatt(right.odd, factors, s.half)), &s);
        if (is_within(r0, limit) && is_within(r1, limit) && is_within(r2, limit) &&
            is_within(r3, limit)) {
            out[0] = (int8_t)r0;
            out[1] = (int8_t)r1;
            out[2] = (int8_t)r2;
            out[3] = (int8_t)r3;
            continue;
        }
        add_each(4, &s, a, b, out, &rounding);
        limit = limit_of(&rounding);
    }
    add_each(size, &s, a, b, out, &rounding);
    tt_rounding_end_s8(rescale, rounding);
}

#endif
