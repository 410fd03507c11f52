/* Requantization in two instructions: tt_requantize.h on a core with DSP instructions. */
#ifndef TT_REQUANTIZE_DSP_H
#define TT_REQUANTIZE_DSP_H

#include "tt_requantize.h"

#if defined(__ARM_FEATURE_SIMD32)

/* Largest count = -1 - shift for which (zero + 1/2) * 2^count stays below 2^30. */
#define TT_SHORT_COUNT_DSP 22

/* Half a unit and the zero point, as the sum before the shift by `count` in 1..TT_SHORT_COUNT_DSP. */
static inline int32_t tt_short_offset_dsp(int32_t zero, int32_t count)
{
    return zero * (1 << count) + (1 << (count - 1));
}

/* tt_requantize(acc, m, -1 - count) + zero. The high word of the product is at most 2^30 in magnitude and the offset
 * below it: nothing overflows. SMMLA has no intrinsic, and gcc does not find it. */
static inline int32_t tt_short_requantize_dsp(int32_t acc, int32_t m, int32_t offset, int32_t count)
{
    int32_t high;
    __asm__("smmla %0, %1, %2, %3" : "=r"(high) : "r"(acc), "r"(m), "r"(offset));
    return high >> count;
}

/* The s8 nearest to value. gcc's __ssat is of an unsigned type, which no conversion warning lets pass. */
static inline int8_t tt_saturate_s8_dsp(int32_t value)
{
    int32_t saturated;
    __asm__("ssat %0, #8, %1" : "=r"(saturated) : "r"(value) : "cc");
    return (int8_t)saturated;
}

#endif
#endif
