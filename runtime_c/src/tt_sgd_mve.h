/* Updates of rows of weights on MVE: tt_sgd.h for eight elements at a time. */
#ifndef TT_SGD_MVE_H
#define TT_SGD_MVE_H

#if defined(__ARM_FEATURE_MVE)

#include <arm_mve.h>

#include "tt_sgd.h"

#define TT_LCG_FACTOR 1664525U
#define TT_LCG_STEP 1013904223U

/* `count` steps of the generator at once: x * factor + step. */
typedef struct {
    uint32_t factor, step;
} tt_jump;

static inline tt_jump tt_jump_by(size_t count)
{
    tt_jump result = {1, 0};
    tt_jump power = {TT_LCG_FACTOR, TT_LCG_STEP};
    for (; count > 0; count >>= 1) {
        if ((count & 1U) != 0) {
            result.factor *= power.factor;
            result.step = result.step * power.factor + power.step;
        }
        power.step *= power.factor + 1;
        power.factor *= power.factor;
    }
    return result;
}

/* Where random numbers of elements 1, 3, 5, 7 and 2, 4, 6, 8 of a row come from. Without randomness they are 2^31 and
 * stay so. */
typedef struct {
    uint32_t odd_factor[4], odd_step[4];
    uint32_t even_factor[4], even_step[4];
    tt_jump eight;
    int32_t stochastic;
} tt_randoms;

static inline tt_randoms tt_randoms_of(const tt_sgd *sgd)
{
    tt_randoms randoms = {.stochastic = sgd->stochastic};
    for (size_t i = 0; i < 4; i++) {
        const tt_jump odd = tt_jump_by(2 * i + 1);
        const tt_jump even = tt_jump_by(2 * i + 2);
        randoms.odd_factor[i] = sgd->stochastic ? odd.factor : 0;
        randoms.odd_step[i] = sgd->stochastic ? odd.step : 0x80000000U;
        randoms.even_factor[i] = sgd->stochastic ? even.factor : 0;
        randoms.even_step[i] = sgd->stochastic ? even.step : 0x80000000U;
    }
    randoms.eight = sgd->stochastic ? tt_jump_by(8) : (tt_jump){1, 0};
    return randoms;
}

/* D of four elements for h in 36 to 62, which VRMULH makes: |sum * m| < 2^62, all below 2^31. */
static inline int32x4_t tt_deltas(const tt_sgd *sgd, int32x4_t sum, uint32x4_t random)
{
    const int32x4_t rounded = vrmulhq_s32(sum, vdupq_n_s32(sgd->mantissa));
    const uint32x4_t part = vshlq_r_u32(random, sgd->shift - 64);
    return vshlq_r_s32(vaddq_s32(rounded, vreinterpretq_s32_u32(part)), 32 - sgd->shift);
}

/* Element `index` alone. */
static inline void tt_update_one(tt_sgd *sgd, const tt_trained *trained, size_t index, int32_t sum)
{
    tt_apply(trained, index, tt_delta_s8(sgd, sum));
}

/* Eight weights of four fractional bits, of which those at `fraction` hold two a byte: Wq + 8 has the stored nibble,
 * its sign flipped, below hi, and ends as twelve bits that VQSHL saturates. */
static inline void tt_apply_eight_4(int8_t *weights, uint8_t *fraction, int32x4_t odd, int32x4_t even)
{
    const int16x8_t hi = vldrbq_s16(weights);
    const uint32x4_t flip = vdupq_n_u32(0x88);
    const int32x4_t nibbles = vreinterpretq_s32_u32(veorq_u32(vldrbq_u32(fraction), flip));
    const int32x4_t upper = vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(nibbles), 4));
    const int32x4_t first = vsliq_n_s32(nibbles, vmovlbq_s16(hi), 4);
    const int32x4_t second = vsliq_n_s32(upper, vmovltq_s16(hi), 4);
    const int32x4_t a = vqshlq_n_s32(vsubq_s32(first, odd), 20);
    const int32x4_t b = vqshlq_n_s32(vsubq_s32(second, even), 20);
    const int16x8_t low = vreinterpretq_s16_s32(vshrq_n_s32(a, 24));
    vstrbq_s16(weights, vmovntq_s32(low, vshrq_n_s32(b, 24)));
    const uint32x4_t pair = vsliq_n_u32(vshrq_n_u32(vreinterpretq_u32_s32(a), 20),
                                        vshrq_n_u32(vreinterpretq_u32_s32(b), 20), 4);
    vstrbq_u32(fraction, veorq_u32(pair, flip));
}

/* Eight weights without fractional bits. */
static inline void tt_apply_eight_0(int8_t *weights, int32x4_t odd, int32x4_t even)
{
    const int16x8_t hi = vldrbq_s16(weights);
    const int32x4_t a = vsubq_s32(vmovlbq_s16(hi), odd);
    const int32x4_t b = vsubq_s32(vmovltq_s16(hi), even);
    const int16x8_t both = vqmovntq_s32(vqmovnbq_s32(vreinterpretq_s16_s32(a), a), b);
    vstrbq_s16(weights, vreinterpretq_s16_s8(vqmovnbq_s16(vreinterpretq_s8_s16(both), both)));
}

/* Elements [index, index + count) after sums[i][which] - offset, all of the channel that sgd is at. Eight at a time
 * where h and the fractional bits allow it. */
static inline void tt_update_row(tt_sgd *sgd, const tt_randoms *randoms, const tt_trained *trained, size_t index,
                                 size_t count, const int32_t (*sums)[2], size_t which, int32_t offset)
{
    const uint32_t bits = trained->fraction_bits;
    const int is_vector = sgd->shift > 35 && sgd->shift <= 62 && (bits == 0 || bits == 4);
    if (is_vector && bits == 4 && index % 2 != 0 && count > 0) {
        /* Bytes of two fractions begin at even elements. */
        tt_update_one(sgd, trained, index++, (*sums++)[which] - offset);
        count--;
    }
    if (is_vector && count >= 8) {
        uint32x4_t odd = vmulq_u32(vdupq_n_u32(sgd->random), vldrwq_u32(randoms->odd_factor));
        uint32x4_t even = vmulq_u32(vdupq_n_u32(sgd->random), vldrwq_u32(randoms->even_factor));
        odd = vaddq_u32(odd, vldrwq_u32(randoms->odd_step));
        even = vaddq_u32(even, vldrwq_u32(randoms->even_step));
        const uint32x4_t factor = vdupq_n_u32(randoms->eight.factor);
        for (;;) {
            const int32x4x4_t four = vld4q_s32(*sums);
            const int32x4_t first = which == 0 ? four.val[0] : four.val[1];
            const int32x4_t second = which == 0 ? four.val[2] : four.val[3];
            const int32x4_t d = tt_deltas(sgd, vsubq_n_s32(first, offset), odd);
            const int32x4_t e = tt_deltas(sgd, vsubq_n_s32(second, offset), even);
            if (bits == 4) {
                tt_apply_eight_4(trained->weights + index, trained->fraction + index / 2, d, e);
            } else {
                tt_apply_eight_0(trained->weights + index, d, e);
            }
            index += 8;
            sums += 8;
            count -= 8;
            if (count < 8) {
                break;
            }
            odd = vmlasq_n_u32(odd, factor, randoms->eight.step);
            even = vmlasq_n_u32(even, factor, randoms->eight.step);
        }
        sgd->random = vgetq_lane_u32(even, 3);
    }
    for (; count > 0; count--) {
        tt_update_one(sgd, trained, index++, (*sums++)[which] - offset);
    }
}

#endif
#endif
