/* Fixed-point primitives: docs/arithmetic.md section 1. */
#ifndef TT_REQUANTIZE_H
#define TT_REQUANTIZE_H

#include "tt_kernels.h"

/* The language leaves right shifts of negative numbers to the compiler; every rounding in the runtime
 * relies on them being arithmetic. Left shifts of negative numbers, which it forbids, are products. */
_Static_assert((-3 >> 1) == -2, "right shifts must be arithmetic");

#define TT_S32_MAX 0x7fffffff

static inline int32_t tt_clamp_s32(int32_t value, int32_t low, int32_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* The s32 nearest to value. */
static inline int32_t tt_saturate_s32(int64_t value)
{
    return value > TT_S32_MAX ? TT_S32_MAX : value < -TT_S32_MAX - 1 ? -TT_S32_MAX - 1 : (int32_t)value;
}

/* a * m * 2^(s - 31), rounded once, a tie up, saturated to 32 bits. Requires 0 <= m < 2^31 and s in
 * [-31, 30]: |a * m| <= 2^62, with the half at most 2^62 + 2^61.
 * Source: TFLite's MultiplyByQuantizedMultiplier with single rounding. */
static inline int32_t tt_requantize(int32_t a, int32_t m, int32_t s)
{
    const int64_t product = (int64_t)a * m;
    if (s == -1) {
        return (int32_t)((product + INT64_C(0x80000000)) >> 32);
    }
    return tt_saturate_s32((product + (INT64_C(1) << (30 - s))) >> (31 - s));
}

/* clamp(value + zero). Requires lo <= hi in s8; the clamp comes first, so that no value overflows. */
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

/* value * 2^count saturated to +-(2^31 - 1). Requires count >= 0. Anything but 0 saturates after 31
 * places, and the operand is cut at 2^31 first: the product is at most 2^62. */
static inline int32_t tt_shift_left(int64_t value, int32_t count)
{
    const int64_t product = (int64_t)tt_saturate_s32(value) * (INT64_C(1) << (count < 31 ? count : 31));
    return product < -TT_S32_MAX ? -TT_S32_MAX : tt_saturate_s32(product);
}

/* value / 2^shift, a tie rounded to even; a shift <= 0 multiplies and saturates. Requires |value| <= 2^30:
 * with the half, at most 2^30 + 2^29. */
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
