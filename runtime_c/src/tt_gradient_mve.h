/* What kernels of s8 gradients share on MVE: the factors on the way into a sum, and the rounding of
 * sums. */
#ifndef TT_GRADIENT_MVE_H
#define TT_GRADIENT_MVE_H

#if defined(__ARM_FEATURE_MVE)

#include <arm_mve.h>

#include "tt_gradient.h"

/* pre(G, m) of eight channels at `count` > 0 positions, `step` elements apart in g, into
 * to[count][8]. Of the channels `inside` are there; the others give 0. tt_factored_s8 is the
 * reference. In assembly because gcc copies registers around the narrowing shifts, which overwrite
 * one operand. */
static inline void tt_factored_panel(size_t count, const int8_t *g, size_t step,
                                     const int16_t *factors, uint32_t inside, int16_t *to)
{
    __asm volatile(
        "vctp.16 %[inside]\n"
        "vpst\n"
        "vldrht.16 q3, [%[factors]]\n"
        "dls lr, %[count]\n"
        "1:\n"
        "vpst\n"
        "vldrbt.s16 q0, [%[g]]\n"
        "vmullb.s16 q1, q0, q3\n"
        "vmullt.s16 q2, q0, q3\n"
        "vrshrnb.i32 q0, q1, #7\n"
        "vrshrnt.i32 q0, q2, #7\n"
        "add %[g], %[g], %[step]\n"
        "vstrh.16 q0, [%[to]], #16\n"
        "le lr, 1b\n"
        : [g] "+l"(g), [to] "+r"(to)
        : [step] "r"(step), [factors] "r"(factors), [inside] "r"(inside), [count] "r"(count)
        : "q0", "q1", "q2", "q3", "lr", "cc", "memory");
}

/* Nonzero if the vectors below round by this shift. */
static inline int tt_is_vector_shift(int32_t shift)
{
    return shift >= 1 && shift <= 30;
}

/* rh(v, s) for s in 1 to 30: with bit s of v at the sign of t, v loses 1 where the bit is 0, and
 * the rounding shift adds the half. Needs s8 vectors: `left` holds 31 - s, `down` is -s, `one` is
 * 1, and t is overwritten. */
/* clang-format off */
#define TT_RH(v, t, left, down, one)    \
    "vshl.s32 " t ", " v ", " left "\n" \
    "vpt.s32 ge, " t ", zr\n"           \
    "vsubt.i32 " v ", " v ", " one "\n" \
    "vrshl.s32 " v ", " down "\n"
/* clang-format on */

/* rh(v, s) of four values, for a shift of 1 to 30; 0 above. Requires |v| <= 2^30. */
static inline int32x4_t tt_rh_s32x4(int32x4_t value, int32_t shift)
{
    if (shift > 30) {
        return vdupq_n_s32(0);
    }
    const mve_pred16_t is_even = vcmpgeq_n_s32(vshlq_r_s32(value, 31 - shift), 0);
    return vrshlq_n_s32(vsubq_m_n_s32(value, value, 1, is_even), -shift);
}

#endif
#endif
