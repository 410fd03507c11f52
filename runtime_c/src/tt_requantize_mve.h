/* Requantization in vectors: tt_requantize.h for four accumulators at a time. */
#ifndef TT_REQUANTIZE_MVE_H
#define TT_REQUANTIZE_MVE_H

#if defined(__ARM_FEATURE_MVE)

#include <arm_mve.h>

#include "tt_requantize.h"

/* Nonzero if every one of entries [first, first + count) has shift -1: then VRMULH, the high word
 * of a product and a half, is tt_requantize. */
static inline int tt_is_high_word(const tt_requant *requant, size_t first, size_t count)
{
    for (size_t i = 0; i < count; i += 16) {
        const mve_pred16_t inside = vctp8q((uint32_t)(count - i));
        const int8x16_t shift = vldrbq_z_s8(requant->shift + first + i, inside);
        if (vcmpneq_m_n_s8(shift, -1, inside) != 0) {
            return 0;
        }
    }
    return 1;
}

/* Two vectors as 16-bit lanes 2i (a) and 2i + 1 (b), saturated, plus zero, saturated again: the
 * clamp to s8 that follows sees no difference. */
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
