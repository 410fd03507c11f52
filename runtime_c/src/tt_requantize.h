/* Fixed-point primitives: docs/arithmetic.md section 1. */
#ifndef TT_REQUANTIZE_H
#define TT_REQUANTIZE_H

#include "tt_kernels.h"

/* The language leaves right shifts of negative numbers to the compiler; every rounding in the
 * runtime relies on them being arithmetic. Left shifts of negative numbers, which it forbids, are
 * products. */
_Static_assert((-3 >> 1) == -2, "right shifts must be arithmetic");

#define TT_S32_MAX 0x7fffffff

/* Whether a product of two words has no high word in hardware: Cortex-M0 and M23. Tests set it
 * elsewhere. */
#ifndef TT_SHORT_PRODUCTS
#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 1
#define TT_SHORT_PRODUCTS 1
#else
#define TT_SHORT_PRODUCTS 0
#endif
#endif

/* A function that is not inlined, so that its loops share no registers with variables of its
 * caller. */
#define TT_ALONE __attribute__((noinline))

static inline int32_t tt_clamp_s32(int32_t value, int32_t low, int32_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* The s32 nearest to value. */
static inline int32_t tt_saturate_s32(int64_t value)
{
    return value > TT_S32_MAX        ? TT_S32_MAX
           : value < -TT_S32_MAX - 1 ? -TT_S32_MAX - 1
                                     : (int32_t)value;
}

/* The high word of a * m, rounded, a tie up: at most 2^30 in magnitude. Requires 0 <= m < 2^31. */
static inline int32_t tt_high_word(int32_t a, int32_t m)
{
#if TT_SHORT_PRODUCTS
    /* Four products of halves, where a library would make both words. None leaves 32 bits: the
     * middle one is at most 65535 * 32767 + 65534 < 2^31, the other one within 32768 * 65535 of 0,
     * plus 65535. */
    const uint32_t a_low = (uint32_t)a & 0xFFFFU;
    const uint32_t m_low = (uint32_t)m & 0xFFFFU;
    const int32_t a_high = a >> 16;
    const int32_t m_high = m >> 16;
    const uint32_t middle = a_low * (uint32_t)m_high + (a_low * m_low >> 16);
    const int32_t other = a_high * (int32_t)m_low + (int32_t)(middle & 0xFFFFU);
    return a_high * m_high + (int32_t)(middle >> 16) + (((other >> 15) + 1) >> 1);
#else
    return (int32_t)(((int64_t)a * m + INT64_C(0x80000000)) >> 32);
#endif
}

/* a * m * 2^(s - 31), rounded once, a tie up, saturated to 32 bits. Requires 0 <= m < 2^31 and s in
 * [-31, 30]: |a * m| <= 2^62, with the half at most 2^62 + 2^61.
 * Source: TFLite's MultiplyByQuantizedMultiplier with single rounding. */
static inline int32_t tt_requantize(int32_t a, int32_t m, int32_t s)
{
    if (s == -1) {
        return tt_high_word(a, m);
    }
    return tt_saturate_s32(((int64_t)a * m + (INT64_C(1) << (30 - s))) >> (31 - s));
}

/* clamp(value + zero). Requires lo <= hi in s8; the clamp comes first, so that no value
 * overflows. */
static inline int8_t tt_offset_s8(int32_t value, int32_t zero, int32_t lo, int32_t hi)
{
    return (int8_t)(tt_clamp_s32(value, lo - zero, hi - zero) + zero);
}

/* An accumulator as the s8 output that entry `index` of the requantization makes of it. */
static inline int8_t tt_requantize_s8(const tt_requant *requant, size_t index, int32_t acc)
{
    const int32_t value = tt_requantize(acc, requant->multiplier[index], requant->shift[index]);
    return tt_offset_s8(value, requant->zero, requant->lo, requant->hi);
}

/* y[p * step] = clamp(high word of acc[p] * m, plus zero, lo, hi) - bias, p < positions. */
static inline void tt_requantize_plain(size_t positions, const int32_t *acc, int32_t m,
                                       int32_t zero, int32_t lo, int32_t hi, int32_t bias,
                                       int8_t *y, size_t step)
{
#if !TT_SHORT_PRODUCTS
    /* Four a turn, which takes registers that a Cortex-M0 has not. */
    for (; positions >= 4; positions -= 4, acc += 4, y += 4 * step) {
        y[0] = (int8_t)(tt_clamp_s32(tt_high_word(acc[0], m) + zero, lo, hi) - bias);
        y[step] = (int8_t)(tt_clamp_s32(tt_high_word(acc[1], m) + zero, lo, hi) - bias);
        y[2 * step] = (int8_t)(tt_clamp_s32(tt_high_word(acc[2], m) + zero, lo, hi) - bias);
        y[3 * step] = (int8_t)(tt_clamp_s32(tt_high_word(acc[3], m) + zero, lo, hi) - bias);
    }
#endif
    for (; positions > 0; positions--, y += step) {
        *y = (int8_t)(tt_clamp_s32(tt_high_word(*acc++, m) + zero, lo, hi) - bias);
    }
}

/* y[p * step + row] = acc[row * positions + p] as the s8 output that entry `index` + row makes of
 * it, row < rows, p < positions. */
static inline void tt_requantize_rows(const tt_requant *requant, size_t index, size_t rows,
                                      size_t positions, const int32_t *acc, int8_t *y, size_t step)
{
    const int32_t zero = requant->zero;
    const int is_type_range = requant->lo == INT8_MIN && requant->hi == INT8_MAX;
    for (; rows > 0; rows--, index++, acc += positions, y++) {
        if (requant->shift[index] != -1) {
            for (size_t p = 0; p < positions; p++) {
                y[p * step] = tt_requantize_s8(requant, index, acc[p]);
            }
        } else if (is_type_range) {
            /* The usual clamp, as one of 0 .. 255: one instruction on some cores, and cheaper on
             * the others. */
            tt_requantize_plain(positions, acc, requant->multiplier[index], zero + 128, 0, 255, 128,
                                y, step);
        } else {
            tt_requantize_plain(positions, acc, requant->multiplier[index], zero, requant->lo,
                                requant->hi, 0, y, step);
        }
    }
}

/* value * 2^count saturated to +-(2^31 - 1). Requires count >= 0. Anything but 0 saturates after 31
 * places, and the operand is cut at 2^31 first: the product is at most 2^62. */
static inline int32_t tt_shift_left(int64_t value, int32_t count)
{
    const int64_t product =
        (int64_t)tt_saturate_s32(value) * (INT64_C(1) << (count < 31 ? count : 31));
    return product < -TT_S32_MAX ? -TT_S32_MAX : tt_saturate_s32(product);
}

/* value / 2^shift, a tie rounded to even; a shift <= 0 multiplies and saturates. Requires |value|
 * <= 2^30: with the half, at most 2^30 + 2^29. */
static inline int32_t tt_rh(int32_t value, int32_t shift)
{
    if (shift > 30) {
        return 0;
    }
    if (shift > 0) {
        return (value + ((1 << (shift - 1)) - 1) + ((value >> shift) & 1)) >> shift;
    }
    return tt_shift_left(value, -shift);
}

/* The same for |value| < 2^62: with the half, below 2^62 + 2^61. Saturates at +-(2^31 - 1). */
static inline int32_t tt_rh64(int64_t value, int32_t shift)
{
    if (shift > 62) {
        return 0;
    }
    if (shift > 0) {
        const int64_t half = (INT64_C(1) << (shift - 1)) - 1 + ((value >> shift) & 1);
        return tt_shift_left((value + half) >> shift, 0);
    }
    return tt_shift_left(value, -shift);
}

#endif
