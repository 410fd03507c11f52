/* Gradient of a bias and its update for MVE. tt_bias_grad.inc.h is the reference. */
#include "tt_kernels_mve.h"

#if defined(__ARM_FEATURE_MVE)

#include <arm_mve.h>

#include "tt_sgd_mve.h"

enum {
    CHANNELS = 8,
    POSITIONS = 256 /* whose sums of |G| <= 127 fit 16 bits */
};

/* Sums of up to eight channels that g points to. In assembly for its predicate, which stays through
 * the loop. */
static void sum_channels(size_t positions, size_t step, uint32_t channels, const int8_t *g,
                         int32_t sums[CHANNELS])
{
    int32x4_t odd = vdupq_n_s32(0);
    int32x4_t even = odd;
    while (positions > 0) {
        const size_t count = positions < POSITIONS ? positions : POSITIONS;
        int16x8_t partial = vdupq_n_s16(0);
        __asm volatile("vctp.16 %[channels]\n"
                       "dls lr, %[count]\n"
                       "1:\n"
                       "vpst\n"
                       "vldrbt.s16 q0, [%[g]]\n"
                       "add %[g], %[g], %[step]\n"
                       "vadd.i16 %q[partial], %q[partial], q0\n"
                       "le lr, 1b\n"
                       : [g] "+l"(g), [partial] "+w"(partial)
                       : [channels] "r"(channels), [count] "r"(count), [step] "r"(step)
                       : "q0", "lr", "cc", "memory");
        odd = vaddq_s32(odd, vmovlbq_s16(partial));
        even = vaddq_s32(even, vmovltq_s16(partial));
        positions -= count;
    }
    const int32x4x2_t both = {{odd, even}};
    vst2q_s32(sums, both);
}

/* Four biases after D, for h of 1 to 62.
 *
 * With u = r * 2^(h - 32) rounded down, sum * m + u is (high, low), and its quotient by 2^h is what
 * shifts of either word by h - 32 and h make. From h = 36 on the product's low word is rounded away
 * first. Where the quotient leaves 32 bits, a bias ends at its bound. */
static int32x4_t moved(int32x4_t bias, int32x4_t sum, int32x4_t m, int32x4_t h, uint32x4_t random)
{
    const int32x4_t limit = vdupq_n_s32(1 << 30);
    const int32x4_t above = vsubq_n_s32(h, 32);
    const uint32x4_t product = vreinterpretq_u32_s32(vmulq_s32(sum, m));
    const uint32x4_t low = vaddq_u32(product, vshlq_u32(random, above));
    const int32x4_t part = vreinterpretq_s32_u32(vshlq_u32(random, vsubq_n_s32(h, 64)));
    int32x4_t high = vaddq_s32(vmulhq_s32(sum, m), part);
    high = vaddq_m_n_s32(high, high, 1, vcmphiq_u32(product, low));
    high = vaddq_m_s32(high, vrmulhq_s32(sum, m), part, vcmpgtq_n_s32(h, 35));
    const int32x4_t upper = vqshlq_s32(high, vnegq_s32(above));
    const uint32x4_t lower = vshlq_u32(low, vnegq_s32(h));
    const mve_pred16_t is_cut =
        vcmpneq_m_s32(vshlq_s32(upper, above), high, vcmpltq_n_s32(above, 0));
    int32x4_t result = vqsubq_s32(bias, vorrq_s32(upper, vreinterpretq_s32_u32(lower)));
    result = vmaxq_s32(vminq_s32(result, limit), vnegq_s32(limit));
    const int32x4_t bound = vpselq_s32(limit, vnegq_s32(limit), vcmpltq_n_s32(high, 0));
    return vpselq_s32(bound, result, is_cut);
}

/* bias[0 .. 3] after sums[0 .. 3], of channels o to o + 3, where h of each is 1 to 62; returns 0
 * and does nothing where it is not. random: the numbers of the four. */
static int update_four(const tt_update *update, const tt_step *step, size_t o, uint32x4_t random,
                       const int32_t *sums, int32_t *bias)
{
    const int32_t base =
        31 - step->rate_exponent - update->exponent - step->normaliser - update->sum_shift;
    const int32x4_t h = vsubq_s32(vdupq_n_s32(base), vldrbq_s32(update->shift + o));
    if (vminvq_s32(63, h) < 1 || vmaxvq_s32(0, h) > 62) {
        return 0;
    }
    /* (M * L_r + 2^30) >> 31 is VQRDMULH. */
    const int32x4_t m = vqrdmulhq_n_s32(vldrwq_s32(update->multiplier + o), step->rate_mantissa);
    vstrwq_s32(bias, moved(vldrwq_s32(bias), vldrwq_s32(sums), m, h, random));
    return 1;
}

void tt_bias_s8_grad_mve(size_t positions, size_t channels, const tt_update *update,
                         const tt_step *step, const int8_t *g, int32_t *bias)
{
    tt_sgd sgd = tt_sgd_begin(update, step);
    uint32_t factor[4];
    uint32_t offset[4];
    for (size_t i = 0; i < 4; i++) {
        const tt_jump jump = tt_jump_by(i + 1);
        factor[i] = sgd.is_random ? jump.factor : 0;
        offset[i] = sgd.is_random ? jump.step : 0x80000000U;
    }
    for (size_t o = 0; o < channels; o += CHANNELS) {
        const size_t left = channels - o;
        int32_t sums[CHANNELS];
        sum_channels(positions, channels, (uint32_t)left, g + o, sums);
        for (size_t i = 0; i < CHANNELS && i < left; i += 4) {
            const size_t count = left - i < 4 ? left - i : 4;
            const uint32x4_t random =
                vaddq_u32(vmulq_n_u32(vldrwq_u32(factor), sgd.random), vldrwq_u32(offset));
            if (count == 4 && sgd.health == NULL &&
                update_four(update, step, o + i, random, sums + i, bias + o + i)) {
                sgd.random = vgetq_lane_u32(random, 3);
                continue;
            }
            for (size_t k = i; k < i + count; k++) {
                tt_sgd_channel_s8(&sgd, update, step, o + k);
                const int64_t d = tt_delta_s8(&sgd, sums[k]);
                tt_count(&sgd, sums[k] != 0, d);
                bias[o + k] = tt_apply_bias(bias[o + k], d);
            }
        }
    }
}

#endif
