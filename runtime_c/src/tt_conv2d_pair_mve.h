/* Sums of some outputs at two positions on their way to s8. */
#ifndef TT_CONV2D_PAIR_MVE_H
#define TT_CONV2D_PAIR_MVE_H

#if defined(__ARM_FEATURE_MVE)

#include "tt_requantize_mve.h"

/* The outputs, as eights, then fours, then a rest. LDM takes the first five members in this
 * order. */
typedef struct {
    const int32_t *acc; /* [outputs][2], up to a multiple of four outputs */
    const int32_t *bias;
    const int32_t *multiplier;
    int32_t zero;
    uint32_t eights;
    uint32_t fours;
    uint32_t rest;
    uint32_t unused;
    int8_t lo[16]; /* 32 */
    int8_t hi[16]; /* 48 */
} tt_pair;

_Static_assert(offsetof(tt_pair, lo) == 32 && offsetof(tt_pair, hi) == 48,
               "the assembly knows these offsets");

/* Eights are stored as halfwords, which VSTRH wants aligned: is_even says that outputs of all
 * positions are. */
static inline void tt_set_pair(const tt_requant *requant, size_t o, size_t outputs,
                               const int32_t *acc, const int32_t *bias, int is_even, tt_pair *pair)
{
    pair->acc = acc;
    pair->bias = bias + o;
    pair->multiplier = requant->multiplier + o;
    pair->zero = requant->zero;
    pair->eights = is_even ? (uint32_t)outputs / 8 : 0;
    pair->fours = (uint32_t)outputs / 4 - 2 * pair->eights;
    pair->rest = outputs % 4;
    vstrbq_s8(pair->lo, vdupq_n_s8(requant->lo));
    vstrbq_s8(pair->hi, vdupq_n_s8(requant->hi));
}

/* Fours and the rest, after the eights. */
static inline void tt_requantize_fours(const tt_pair *pair, int8_t *y0, int8_t *y1)
{
    size_t o = 8 * pair->eights;
    for (uint32_t left = 4 * pair->fours + pair->rest; left > 0;
         left = left > 4 ? left - 4 : 0, o += 4) {
        const mve_pred16_t inside = vctp32q(left);
        const int32x4x2_t sums = vld2q_s32(pair->acc + 2 * o);
        const int32x4_t bias = vldrwq_z_s32(pair->bias + o, inside);
        const int32x4_t m = vldrwq_z_s32(pair->multiplier + o, inside);
        const int32x4_t a = vrmulhq_s32(vaddq_s32(sums.val[0], bias), m);
        const int32x4_t b = vrmulhq_s32(vaddq_s32(sums.val[1], bias), m);
        const int16x8_t both = tt_narrow_pair(a, b, (int16_t)pair->zero);
        const int8x16_t bytes = tt_clamp_s16x8(both, vldrbq_s8(pair->lo), vldrbq_s8(pair->hi));
        vstrbq_p_s32(y0 + o, vreinterpretq_s32_s8(bytes), inside);
        vstrbq_p_u32((uint8_t *)y1 + o, vshrq_n_u32(vreinterpretq_u32_s8(bytes), 16), inside);
    }
}

/* Both positions to s8, where every shift is -1. Even channels of both positions are in q0 and q1,
 * odd ones in q2 and q3. In assembly because gcc copies registers around the narrowing moves, which
 * overwrite one operand. */
__attribute__((noinline)) /* it takes nearly every register; callers keep theirs */
static void
tt_requantize_pair(const tt_pair *pair, int8_t *y0, int8_t *y1)
{
    if (pair->fours + pair->rest > 0) {
        tt_requantize_fours(pair, y0, y1);
    }
    if (pair->eights > 0) {
        __asm volatile("ldm %[pair], {r0, r2, r4, r6, lr}\n"
                       "vldrw.32 q6, [%[pair], #32]\n"
                       "vldrw.32 q7, [%[pair], #48]\n"
                       "dls lr, lr\n"
                       "1:\n"
                       "vld40.32 {q0, q1, q2, q3}, [r0]\n"
                       "vld41.32 {q0, q1, q2, q3}, [r0]\n"
                       "vld42.32 {q0, q1, q2, q3}, [r0]\n"
                       "vld43.32 {q0, q1, q2, q3}, [r0]!\n"
                       "vld20.32 {q4, q5}, [r2]\n"
                       "vld21.32 {q4, q5}, [r2]!\n"
                       "vadd.i32 q0, q0, q4\n"
                       "vadd.i32 q1, q1, q4\n"
                       "vadd.i32 q2, q2, q5\n"
                       "vadd.i32 q3, q3, q5\n"
                       "vld20.32 {q4, q5}, [r4]\n"
                       "vld21.32 {q4, q5}, [r4]!\n"
                       "vrmulh.s32 q0, q0, q4\n"
                       "vrmulh.s32 q1, q1, q4\n"
                       "vrmulh.s32 q2, q2, q5\n"
                       "vrmulh.s32 q3, q3, q5\n"
                       "vqmovnb.s32 q0, q0\n"
                       "vqmovnt.s32 q0, q1\n"
                       "vqmovnb.s32 q2, q2\n"
                       "vqmovnt.s32 q2, q3\n"
                       "vqadd.s16 q0, q0, r6\n"
                       "vqadd.s16 q2, q2, r6\n"
                       "vqmovnb.s16 q0, q0\n"
                       "vqmovnt.s16 q0, q2\n"
                       "vmax.s8 q0, q0, q6\n"
                       "vmin.s8 q0, q0, q7\n"
                       "vstrh.32 q0, [%[y0]], #8\n"
                       "vshr.u32 q0, q0, #16\n"
                       "vstrh.32 q0, [%[y1]], #8\n"
                       "le lr, 1b\n"
                       : [y0] "+l"(y0), [y1] "+l"(y1)
                       : [pair] "r"(pair)
                       : "r0", "r2", "r4", "r6", "lr", "q0", "q1", "q2", "q3", "q4", "q5", "q6",
                         "q7", "cc", "memory");
    }
}

/* The same for any shifts; o is the first output. */
static inline void tt_requantize_pair_scalar(const tt_pair *pair, const tt_requant *requant,
                                             size_t o, int8_t *y0, int8_t *y1)
{
    const size_t outputs = 8 * pair->eights + 4 * pair->fours + pair->rest;
    for (size_t k = 0; k < outputs; k++) {
        y0[k] = tt_requantize_s8(requant, o + k, pair->acc[2 * k] + pair->bias[k]);
        y1[k] = tt_requantize_s8(requant, o + k, pair->acc[2 * k + 1] + pair->bias[k]);
    }
}

#endif
#endif
