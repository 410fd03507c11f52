/* The rows of tt_sgd_mve.h. */
#include "tt_sgd_mve.h"

#if defined(__ARM_FEATURE_MVE)

#include <arm_mve.h>

tt_randoms tt_randoms_of_mve(const tt_sgd *sgd)
{
    tt_randoms randoms = {.is_random = sgd->is_random};
    for (size_t i = 0; i < 4; i++) {
        const tt_jump odd = tt_jump_by(2 * i + 1);
        const tt_jump even = tt_jump_by(2 * i + 2);
        randoms.odd_factor[i] = sgd->is_random ? odd.factor : 0;
        randoms.odd_step[i] = sgd->is_random ? odd.step : 0x80000000U;
        randoms.even_factor[i] = sgd->is_random ? even.factor : 0;
        randoms.even_step[i] = sgd->is_random ? even.step : 0x80000000U;
    }
    randoms.eight = sgd->is_random ? tt_jump_by(8) : (tt_jump){1, 0};
    return randoms;
}

/* D of four elements for h in 36 to 62, which VRMULH makes: |sum * m| < 2^62, all below 2^31. */
static inline int32x4_t deltas(const tt_sgd *sgd, int32x4_t sum, uint32x4_t random)
{
    const int32x4_t rounded = vrmulhq_s32(sum, vdupq_n_s32(sgd->mantissa));
    const uint32x4_t part = vshlq_r_u32(random, sgd->shift - 64);
    return vshlq_r_s32(vaddq_s32(rounded, vreinterpretq_s32_u32(part)), 32 - sgd->shift);
}

/* hi and the bytes of two fractions each of eight weights with four fractional bits, after D. Wq +
 * 8 has the stored nibble, its sign flipped, below hi, and ends as twelve bits that VQSHL
 * saturates. */
static inline int16x8_t apply_eight_4(int16x8_t hi, uint32x4_t *fractions, int32x4_t odd,
                                      int32x4_t even)
{
    const uint32x4_t flip = vdupq_n_u32(0x88);
    const uint32x4_t nibbles = veorq_u32(*fractions, flip);
    const int32x4_t first = vsliq_n_s32(vreinterpretq_s32_u32(nibbles), vmovlbq_s16(hi), 4);
    const int32x4_t second =
        vsliq_n_s32(vreinterpretq_s32_u32(vshrq_n_u32(nibbles, 4)), vmovltq_s16(hi), 4);
    const int32x4_t a = vqshlq_n_s32(vsubq_s32(first, odd), 20);
    const int32x4_t b = vqshlq_n_s32(vsubq_s32(second, even), 20);
    const uint32x4_t lower = vshrq_n_u32(vreinterpretq_u32_s32(a), 20);
    const uint32x4_t upper = vshrq_n_u32(vreinterpretq_u32_s32(b), 20);
    *fractions = veorq_u32(vsliq_n_u32(lower, upper, 4), flip);
    return vmovntq_s32(vreinterpretq_s16_s32(vshrq_n_s32(a, 24)), vshrq_n_s32(b, 24));
}

/* The same without fractional bits. */
static inline int16x8_t apply_eight_0(int16x8_t hi, int32x4_t odd, int32x4_t even)
{
    const int32x4_t a = vsubq_s32(vmovlbq_s16(hi), odd);
    const int32x4_t b = vsubq_s32(vmovltq_s16(hi), even);
    const int16x8_t both = vqmovntq_s32(vqmovnbq_s32(vreinterpretq_s16_s32(a), a), b);
    return vreinterpretq_s16_s8(vqmovnbq_s16(vreinterpretq_s8_s16(both), both));
}

static inline void update_eight(uint32_t bits, int8_t *weights, uint8_t *fraction, int32x4_t odd,
                                int32x4_t even)
{
    const int16x8_t hi = vldrbq_s16(weights);
    if (bits == 4) {
        uint32x4_t fractions = vldrbq_u32(fraction);
        vstrbq_s16(weights, apply_eight_4(hi, &fractions, odd, even));
        vstrbq_u32(fraction, fractions);
    } else {
        vstrbq_s16(weights, apply_eight_0(hi, odd, even));
    }
}

/* The first `count` of eight, an even number. */
static inline void update_part(uint32_t count, uint32_t bits, int8_t *weights, uint8_t *fraction,
                               int32x4_t odd, int32x4_t even)
{
    const mve_pred16_t inside = vctp16q(count);
    const int16x8_t hi = vldrbq_z_s16(weights, inside);
    if (bits == 4) {
        const mve_pred16_t pairs = vctp32q(count / 2);
        uint32x4_t fractions = vldrbq_z_u32(fraction, pairs);
        vstrbq_p_s16(weights, apply_eight_4(hi, &fractions, odd, even), inside);
        vstrbq_p_u32(fraction, fractions, pairs);
    } else {
        vstrbq_p_s16(weights, apply_eight_0(hi, odd, even), inside);
    }
}

/* One element, after `sum`. */
__attribute__((noinline, cold)) static void update_one(tt_sgd *sgd, const tt_trained *trained,
                                                       size_t index, int32_t sum)
{
    const int64_t d = tt_delta_s8(sgd, sum);
    tt_count(sgd, sum != 0, d);
    tt_apply(trained, index, d);
}

void tt_update_row_mve(tt_sgd *sgd, const tt_randoms *randoms, const tt_trained *trained,
                       size_t index, size_t count, const int32_t (*sums)[2], size_t which,
                       int32_t offset)
{
    const uint32_t bits = trained->fraction_bits;
    const int is_vector =
        sgd->health == NULL && sgd->shift > 35 && sgd->shift <= 62 && (bits == 0 || bits == 4);
    if (is_vector && bits == 4 && index % 2 != 0 && count > 0) {
        /* Bytes of two fractions begin at even elements. */
        update_one(sgd, trained, index++, (*sums++)[which] - offset);
        count--;
    }
    if (is_vector && count >= 2) {
        uint32x4_t odd = vmulq_n_u32(vldrwq_u32(randoms->odd_factor), sgd->random);
        uint32x4_t even = vmulq_n_u32(vldrwq_u32(randoms->even_factor), sgd->random);
        odd = vaddq_u32(odd, vldrwq_u32(randoms->odd_step));
        even = vaddq_u32(even, vldrwq_u32(randoms->even_step));
        const uint32x4_t factor = vdupq_n_u32(randoms->eight.factor);
        uint32_t part;
        for (;;) {
            const int32x4x4_t four = vld4q_s32(*sums);
            const int32x4_t first = which == 0 ? four.val[0] : four.val[1];
            const int32x4_t second = which == 0 ? four.val[2] : four.val[3];
            const int32x4_t d = deltas(sgd, vsubq_n_s32(first, offset), odd);
            const int32x4_t e = deltas(sgd, vsubq_n_s32(second, offset), even);
            int8_t *weights = trained->weights + index;
            uint8_t *fraction = bits == 0 ? NULL : trained->fraction + index / 2;
            part = count < 8 ? (uint32_t)count & 6U : 8;
            if (part == 8) {
                update_eight(bits, weights, fraction, d, e);
            } else {
                update_part(part, bits, weights, fraction, d, e);
            }
            index += part;
            sums += part;
            count -= part;
            if (count < 2) {
                break;
            }
            odd = vmlasq_n_u32(odd, factor, randoms->eight.step);
            even = vmlasq_n_u32(even, factor, randoms->eight.step);
        }
        uint32_t last[4];
        vstrwq_u32(last, even);
        sgd->random = last[part / 2 - 1];
    }
    for (; count > 0; count--) {
        update_one(sgd, trained, index++, (*sums++)[which] - offset);
    }
}

#endif
