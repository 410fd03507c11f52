/* From sums to updates of a row of weights on a core with DSP instructions: tt_sgd.h, four fractional bits in pairs. */
#ifndef TT_SGD_DSP_H
#define TT_SGD_DSP_H

#include "tt_sgd.h"

#if defined(__ARM_FEATURE_SIMD32)

/* x -> a * x + c, some steps of a generator at once; the identity where updates round to nearest. */
typedef struct {
    uint32_t a, c;
} tt_jump;

/* `steps` steps of tt_sgd_random, by repeated squaring. */
static inline tt_jump tt_jump_of(const tt_sgd *sgd, size_t steps)
{
    tt_jump all = {1, 0};
    tt_jump power = {sgd->stochastic ? 1664525U : 1U, sgd->stochastic ? 1013904223U : 0U};
    for (; steps > 0; steps >>= 1) {
        if (steps & 1U) {
            all = (tt_jump){all.a * power.a, power.a * all.c + power.c};
        }
        power = (tt_jump){power.a * power.a, power.a * power.c + power.c};
    }
    return all;
}

/* D of one sum for h in 41..62: count = h - 32, and the upper `count` bits of r. |sum * m| < 2^62: no sum overflows. */
static inline int32_t tt_short_delta_dsp(int32_t sum, int32_t mantissa, uint32_t upper, int32_t count)
{
    int32_t rounded;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(rounded) : "r"(sum), "r"(mantissa), "r"(upper));
    return rounded >> count;
}

/* Where four fractional bits, an even index and h in 41..62 allow: an even number of weights, and returns how many. It
 * has a function of its own, that its loop gets all registers. */
__attribute__((noinline)) static size_t tt_update_pairs_dsp(tt_trained *trained, size_t index, size_t size, tt_sgd *sgd,
                                                           const int32_t *sums)
{
    const uint32_t a = sgd->stochastic ? 1664525U : 1U;
    const uint32_t c = sgd->stochastic ? 1013904223U : 0U;
    const int32_t mantissa = sgd->mantissa;
    const int32_t count = sgd->shift - 32;
    const int32_t rest = 32 - count;
    uint32_t random = sgd->stochastic ? sgd->random : 0x80000000U;
    int8_t *w = trained->weights + index;
    uint8_t *fraction = trained->fraction + index / 2;
    const int32_t *end = sums + size / 2 * 2;
    /* With 8 added to its fraction a weight is 16 * hi + an unsigned nibble, and its range that of 12 bits. */
    while (sums != end) {
        const int32_t nibbles = *fraction ^ 0x88;
        random = random * a + c;
        int32_t first = (nibbles & 15) - tt_short_delta_dsp(sums[0], mantissa, random >> rest, count);
        random = random * a + c;
        int32_t second = (nibbles >> 4) - tt_short_delta_dsp(sums[1], mantissa, random >> rest, count);
        sums += 2;
        first += w[0] * 16;
        second += w[1] * 16;
        __asm__("ssat %0, #12, %0" : "+r"(first) : : "cc");
        __asm__("ssat %0, #12, %0" : "+r"(second) : : "cc");
        *w++ = (int8_t)(first >> 4);
        *w++ = (int8_t)(second >> 4);
        *fraction++ = (uint8_t)(((first & 15) | second << 4) ^ 0x88);
    }
    sgd->random = random;
    return size / 2 * 2;
}

/* Updates weights `index`, index + 1, ... by their sums; sgd stands at their channel and before the random number of
 * the first. */
static void tt_update_row_dsp(tt_trained *trained, size_t index, size_t size, tt_sgd *sgd, const int32_t *sums)
{
    size_t i = 0;
    if (sgd->shift > 40 && sgd->shift <= 62 && trained->fraction_bits == 4 && index % 2 == 0) {
        i = tt_update_pairs_dsp(trained, index, size, sgd, sums);
    }
    for (; i < size; i++) {
        tt_apply(trained, index + i, tt_delta_s8(sgd, sums[i]));
    }
}

#endif
#endif
