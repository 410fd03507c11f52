/* Requantization in two instructions: tt_requantize.h on a core with DSP instructions. */
#ifndef TT_REQUANTIZE_DSP_H
#define TT_REQUANTIZE_DSP_H

#include "tt_requantize.h"

#if defined(__ARM_FEATURE_SIMD32)

/* tt_requantize(acc, m, -1) + zero: the high word of acc * m + 2^31, at most 2^30 in magnitude, and
 * the zero point. SMMLAR has no intrinsic, and gcc does not find it. */
static inline int32_t tt_high_requantize_dsp(int32_t acc, int32_t m, int32_t zero)
{
    int32_t value;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(value) : "r"(acc), "r"(m), "r"(zero));
    return value;
}

/* The s8 nearest to value. gcc's __ssat is of an unsigned type, which no conversion warning lets
 * pass. */
static inline int8_t tt_saturate_s8_dsp(int32_t value)
{
    int32_t saturated;
    __asm__("ssat %0, #8, %1" : "=r"(saturated) : "r"(value) : "cc");
    return (int8_t)saturated;
}

#endif
#endif
