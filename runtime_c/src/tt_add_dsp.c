/* Residual addition on a core with DSP instructions. */
#include "tt_lanes_dsp.h"
#include "tt_requantize_dsp.h"

#if defined(__ARM_FEATURE_SIMD32)

/* Largest shift for which the zero point may go into the sum: below 2 * 255 * 2^21 + 2^22 + 2^29 <
 * 2^31. */
#define MOST_SHIFT 22

static inline uint32_t byte_of(uint32_t word, unsigned index)
{
    return (uint32_t)(int8_t)(word >> 8 * index);
}

/* a * b + c, as one instruction: gcc moves the constant to the end of the sum, where it takes one
 * of its own. */
static inline uint32_t multiply_add(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t sum;
    __asm__("mla %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(c));
    return sum;
}

void tt_add_s8_dsp(const tt_add *add, size_t size, const int8_t *a, const int8_t *b, int8_t *y)
{
    const int32_t shift = add->shift;
    if (shift > MOST_SHIFT || add->lo != INT8_MIN || add->hi != INT8_MAX) {
        tt_add_s8(add, size, a, b, y);
        return;
    }
    /* All that does not depend on the element. On its way a sum may wrap; in the end it is below
     * 2^31. */
    const uint32_t a_factor = (uint32_t)add->a_factor;
    const uint32_t b_factor = (uint32_t)add->b_factor;
    const uint32_t constant = ((uint32_t)add->zero << shift) + (1U << (shift - 1)) -
                              (uint32_t)add->a_zero * a_factor - (uint32_t)add->b_zero * b_factor;
    for (; size >= 4; size -= 4, a += 4, b += 4, y += 4) {
        const uint32_t left = tt_word_at(a);
        const uint32_t right = tt_word_at(b);
#pragma GCC unroll 4
        for (unsigned i = 0; i < 4; i++) {
            const uint32_t sum = multiply_add(byte_of(right, i), b_factor,
                                              multiply_add(byte_of(left, i), a_factor, constant));
            y[i] = tt_saturate_s8_dsp((int32_t)sum >> shift);
        }
    }
    for (; size > 0; size--) {
        const uint32_t sum = constant + (uint32_t)*a++ * a_factor + (uint32_t)*b++ * b_factor;
        *y++ = tt_saturate_s8_dsp((int32_t)sum >> shift);
    }
}

#endif
