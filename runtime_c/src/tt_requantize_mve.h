/* Requantization in vectors: tt_requantize.h for four accumulators at a time. */
#ifndef TT_REQUANTIZE_MVE_H
#define TT_REQUANTIZE_MVE_H

#if defined(__ARM_FEATURE_MVE)

#include <arm_mve.h>

#include "tt_requantize.h"

/* Nonzero if the vectors below serve all of entries [first, first + count).
 *
 * VQDMULH gives floor(a * M / 2^31), and rounding that by a shift of -S >= 1 is the same as rounding the product by
 * 31 - S, because a floor of a floor is the floor: tt_requantize for S <= -1. With S >= 0 the low word of the product
 * is needed; an M of 0 gives 0 whatever S is. */
static inline int tt_is_right_shift(const tt_requant *requant, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        if (requant->shift[i] >= 0 && requant->multiplier[i] != 0) {
            return 0;
        }
    }
    return 1;
}

static inline int32x4_t tt_requantize_s32x4(int32x4_t acc, int32x4_t multiplier, int32x4_t shift)
{
    return vrshlq_s32(vqdmulhq_s32(acc, multiplier), shift);
}

/* Two vectors as 16-bit lanes 2i (a) and 2i + 1 (b), saturated, plus zero, saturated again: the clamp to s8 that
 * follows sees no difference. */
static inline int16x8_t tt_narrow_pair(int32x4_t a, int32x4_t b, int16_t zero)
{
    const int16x8_t low = vqmovnbq_s32(vreinterpretq_s16_s32(a), a);
    return vqaddq_n_s16(vqmovntq_s32(low, b), zero);
}

/* The clamped s8 of each 16-bit lane, in its low byte. */
static inline int8x16_t tt_clamp_s16x8(int16x8_t value, int8x16_t lo, int8x16_t hi)
{
    const int8x16_t low = vqmovnbq_s16(vreinterpretq_s8_s16(value), value);
    return vminq_s8(vmaxq_s8(low, lo), hi);
}

#endif
#endif
