/* Where clamps let the gradient pass, four elements at a time, on a core with DSP instructions. */
#include "tt_lanes_dsp.h"

#if defined(__ARM_FEATURE_SIMD32)

/* Four times the bounds: y passes if y - above, as an unsigned byte, is below span. */
typedef struct {
    uint8x4_t above, span;
} bounds;

static bounds bounds_of(int8_t lo, int8_t hi)
{
    const uint32_t span = hi > lo ? (uint32_t)(hi - lo - 1) : 0;
    return (bounds){(uint8_t)(lo + 1) * UINT32_C(0x01010101), span * UINT32_C(0x01010101)};
}

/* The bytes of `passed` where y passes, 0 elsewhere. */
static inline uint32_t select(bounds b, uint32_t y, uint32_t passed)
{
    (void)__usub8(__usub8(y, b.above), b.span);
    return __sel(0, passed);
}

static inline void put_word(void *address, uint32_t word)
{
    memcpy(address, &word, sizeof word);
}

void tt_clamp_mask_s8_dsp(size_t size, int8_t lo, int8_t hi, const int8_t *y, uint8_t *mask)
{
    const bounds b = bounds_of(lo, hi);
    for (; size >= 8; size -= 8, y += 8) {
        /* A byte holds its bit; their sum is the mask. */
        const uint32_t low = select(b, tt_word_at(y), 0x08040201U);
        const uint32_t high = select(b, tt_word_at(y + 4), 0x80402010U);
        *mask++ = (uint8_t)__usada8(high, 0, __usad8(low, 0));
    }
    if (size > 0) {
        *mask = 0;
        for (size_t i = 0; i < size; i++) {
            *mask = (uint8_t)(*mask | (y[i] > lo && y[i] < hi) << i);
        }
    }
}

void tt_grad_clamp_s8_dsp(size_t size, int8_t lo, int8_t hi, const int8_t *g, const int8_t *y,
                          int8_t *out)
{
    const bounds b = bounds_of(lo, hi);
    for (; size >= 16; size -= 16, g += 16, y += 16, out += 16) {
#pragma GCC unroll 4
        for (size_t i = 0; i < 16; i += 4) {
            put_word(out + i, select(b, tt_word_at(y + i), tt_word_at(g + i)));
        }
    }
    for (size_t i = 0; i < size; i++) {
        out[i] = y[i] > lo && y[i] < hi ? g[i] : 0;
    }
}

/* The bytes of g whose bits, 16 to 19 of `bits`, are set: those are where MSR puts the flags that
 * SEL reads. */
static inline uint32_t select_by_bits(uint32_t bits, uint32_t g)
{
    uint32_t selected;
    __asm__("msr APSR_g, %1\n\tsel %0, %2, %3" : "=r"(selected) : "r"(bits), "r"(g), "r"(0) : "cc");
    return selected;
}

void tt_grad_clamp_mask_s8_dsp(size_t size, const int8_t *g, const uint8_t *mask, int8_t *out)
{
    for (; size >= 8; size -= 8, g += 8, out += 8) {
        const uint32_t bits = *mask++;
        const uint32_t first = select_by_bits(bits << 16, tt_word_at(g));
        const uint32_t second = select_by_bits(bits << 12, tt_word_at(g + 4));
        put_word(out, first);
        put_word(out + 4, second);
    }
    for (size_t i = 0; i < size; i++) {
        out[i] = (*mask >> i & 1) != 0 ? g[i] : 0;
    }
}

#endif
