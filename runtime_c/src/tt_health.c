/* What is looked at when somebody asks for a model's health, and not before. */
#include "tt_kernels.h"

uint32_t tt_count_ends_s8(size_t size, const int8_t *weights, const uint8_t *fraction,
                          uint32_t fraction_bits)
{
    const uint32_t half = (1U << fraction_bits) >> 1;
    uint32_t count = 0;
    for (size_t i = 0; i < size; i++) {
        int is_end = weights[i] == -128 || weights[i] == 127;
        if (is_end && fraction_bits != 0) {
            const size_t bit = i * fraction_bits;
            const uint32_t low =
                (uint32_t)fraction[bit >> 3] >> (bit & 7U) & ((1U << fraction_bits) - 1U);
            is_end = low == (weights[i] < 0 ? half : half - 1U);
        }
        count += (uint32_t)is_end;
    }
    return count;
}

uint32_t tt_count_ends_s32(size_t size, const int32_t *bias)
{
    uint32_t count = 0;
    for (size_t i = 0; i < size; i++) {
        count += bias[i] == 1 << 30 || bias[i] == -(1 << 30);
    }
    return count;
}
