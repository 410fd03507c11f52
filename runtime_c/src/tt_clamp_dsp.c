/* Masks of clamps and gradients through them on a core with DSP instructions: four elements a word, whose comparison
 * leaves a flag for each. */
#include <string.h>

#include "tt_kernels_dsp.h"

#if defined(__ARM_FEATURE_SIMD32)

static inline uint32_t word_at(const void *address)
{
    uint32_t word;
    memcpy(&word, address, sizeof word);
    return word;
}

/* The bytes of `value` where lo < y < hi, else 0: y - (lo + 1), modulo 256, is at most hi - lo - 2. The flags that
 * USUB8 leaves and SEL reads are no operand that gcc knows of, so both stand in one statement. */
static inline uint32_t select(uint32_t y, uint32_t above, uint32_t range, uint32_t value)
{
    uint32_t result;
    __asm__("usub8 %0, %1, %2\n\tusub8 %0, %3, %0\n\tsel %0, %4, %5"
            : "=&r"(result)
            : "r"(y), "r"(above), "r"(range), "r"(value), "r"(0)
            : "cc");
    return result;
}

/* The bytes of `value` whose flag is set in bits 16 to 19 of flags, else 0. */
static inline uint32_t select_by(uint32_t flags, uint32_t value)
{
    uint32_t result;
    __asm__("msr APSR_g, %1\n\tsel %0, %2, %3" : "=r"(result) : "r"(flags), "r"(value), "r"(0) : "cc");
    return result;
}

static inline uint32_t four_times(int32_t value)
{
    return (uint8_t)value * UINT32_C(0x01010101);
}

void tt_clamp_mask_s8_dsp(size_t size, int8_t lo, int8_t hi, const int8_t *y, uint8_t *mask)
{
    if (hi - lo < 2) {
        tt_clamp_mask_s8(size, lo, hi, y, mask);
        return;
    }
    const uint32_t above = four_times(lo + 1);
    const uint32_t range = four_times(hi - lo - 2);
    const uint32_t ones = 0x01010101U;
    for (const int8_t *end = y + size / 8 * 8; y != end; y += 8) {
        const uint32_t first = select(word_at(y), above, range, ones);
        const uint32_t second = select(word_at(y + 4), above, range, ones);
        /* Bit 0 of byte i goes to bit 24 + i, or 28 + i; no two of all the products meet, so nothing carries. */
        *mask++ = (uint8_t)((first * 0x01020408U + second * 0x10204080U) >> 24);
    }
    if (size % 8 != 0) {
        tt_clamp_mask_s8(size % 8, lo, hi, y, mask);
    }
}

void tt_grad_clamp_s8_dsp(size_t size, int8_t lo, int8_t hi, const int8_t *g, const int8_t *y, int8_t *out)
{
    size_t i = 0;
    if (hi - lo >= 2) {
        const uint32_t above = four_times(lo + 1);
        const uint32_t range = four_times(hi - lo - 2);
        for (; i + 4 <= size; i += 4) {
            const uint32_t passed = select(word_at(y + i), above, range, word_at(g + i));
            memcpy(out + i, &passed, sizeof passed);
        }
    }
    tt_grad_clamp_s8(size - i, lo, hi, g + i, y + i, out + i);
}

void tt_grad_clamp_mask_s8_dsp(size_t size, const int8_t *g, const uint8_t *mask, int8_t *out)
{
    for (const int8_t *end = g + size / 8 * 8; g != end; g += 8, out += 8) {
        const uint32_t flags = *mask++;
        const uint32_t first = select_by(flags << 16, word_at(g));
        const uint32_t second = select_by(flags << 12, word_at(g + 4));
        memcpy(out, &first, sizeof first);
        memcpy(out + 4, &second, sizeof second);
    }
    tt_grad_clamp_mask_s8(size % 8, g, mask, out);
}

#endif
