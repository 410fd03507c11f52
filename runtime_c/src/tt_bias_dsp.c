/* Gradient of a bias and its update in one go, on a core with DSP instructions. */
#include "tt_gradient.h"
#include "tt_lanes_dsp.h"
#include "tt_requantize_dsp.h"
#include "tt_sgd_dsp.h"

#if defined(__ARM_FEATURE_SIMD32)

/* Positions whose sums fit 16 bits: 258 * 127 < 2^15; a multiple of 4. */
#define MOST_POSITIONS 256U

/* Channels whose sums stand on the stack before their biases are updated. */
#define BLOCK 32U

/* The sums of channels 0 and 2 and of channels 1 and 3. */
typedef struct {
    int16x2_t even, odd;
} sums_of;

/* SXTAB16 with its rotation, which gcc does not find. */
static inline sums_of add_word(sums_of sums, uint32_t word)
{
    __asm__("sxtab16 %0, %0, %1" : "+r"(sums.even) : "r"(word));
    __asm__("sxtab16 %0, %0, %1, ror #8" : "+r"(sums.odd) : "r"(word));
    return sums;
}

/* Functions of their own, that their loops get all registers. */
#define ALONE __attribute__((noinline))

/* Sums of four successive channels. */
ALONE static void sum4(size_t positions, size_t channels, const int8_t *g, int32_t *sums)
{
    sums[0] = sums[1] = sums[2] = sums[3] = 0;
    while (positions > 0) {
        sums_of part = {0, 0};
        size_t left = positions < MOST_POSITIONS ? positions : MOST_POSITIONS;
        positions -= left;
        for (; left >= 4; left -= 4) {
#pragma GCC unroll 4
            for (size_t i = 0; i < 4; i++, g += channels) {
                part = add_word(part, tt_word_at(g));
            }
        }
        for (; left > 0; left--, g += channels) {
            part = add_word(part, tt_word_at(g));
        }
        sums[0] += (int16_t)part.even;
        sums[1] += (int16_t)part.odd;
        sums[2] += part.even >> 16;
        sums[3] += part.odd >> 16;
    }
}

static void sum1(size_t positions, size_t channels, const int8_t *g, int32_t *sum)
{
    *sum = 0;
    for (; positions > 0; positions--, g += channels) {
        *sum += *g;
    }
}

/* One bias in any step, counted where the step counts. Cold, that the loop below gets all
 * registers. */
__attribute__((noinline, cold)) static void update_one(tt_sgd *sgd, const tt_update *update,
                                                       const tt_step *step, size_t o, int32_t sum,
                                                       int32_t *bias)
{
    tt_sgd_channel_s8(sgd, update, step, o);
    const int64_t d = tt_any_delta_dsp(sgd, sum);
    tt_count(sgd, sum != 0, d);
    bias[o] = tt_apply_bias(bias[o], d);
}

/* Updates bias[o + i], i < count, by sums[i]. sgd stands at no channel. */
ALONE static void update_block(tt_sgd *sgd, const tt_update *update, const tt_step *step, size_t o,
                               size_t count, const int32_t *sums, int32_t *bias)
{
    const int32_t bound = 1 << 30;
    const int32_t rate = step->rate_mantissa;
    const int32_t shift =
        31 - step->rate_exponent - update->exponent - step->normaliser - update->sum_shift;
    /* The largest h of the fast way, which counts nothing. */
    const int32_t most = sgd->health == NULL ? 62 : 35;
    tt_sgd local = *sgd;
    for (size_t i = 0; i < count; i++, o++) {
        const int32_t h = shift - update->shift[o];
        if (h <= 35 || h > most) {
            update_one(&local, update, step, o, sums[i], bias);
            continue;
        }
        const int32_t mantissa =
            (int32_t)(((int64_t)update->multiplier[o] * rate + (1 << 30)) >> 31);
        const int32_t places = h - 32;
        const uint32_t r = tt_sgd_random(&local) >> (32 - places);
        /* Both within 2^30. */
        const int32_t moved =
            bias[o] - (tt_high_requantize_dsp(sums[i], mantissa, (int32_t)r) >> places);
        bias[o] = tt_clamp_s32(moved, -bound, bound);
    }
    sgd->random = local.random;
}

void tt_bias_s8_grad_dsp(size_t positions, size_t channels, const tt_update *update,
                         const tt_step *step, const int8_t *g, int32_t *bias)
{
    tt_sgd sgd = tt_sgd_begin(update, step);
    size_t count = 0;
    for (size_t o = 0; o < channels; o += count) {
        int32_t sums[BLOCK];
        count = channels - o < BLOCK ? channels - o : BLOCK;
        size_t i = 0;
        for (; i + 4 <= count; i += 4) {
            sum4(positions, channels, g + o + i, sums + i);
        }
        for (; i < count; i++) {
            sum1(positions, channels, g + o + i, sums + i);
        }
        update_block(&sgd, update, step, o, count, sums, bias);
    }
}

#endif
