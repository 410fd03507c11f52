/* Sum of the gradients of two branches for MVE. tt_grad_add.c is the reference. */
#include "tt_kernels_mve.h"

#if defined(__ARM_FEATURE_MVE)

#include "tt_gradient_mve.h"

/* rh(256 * g, shift), shift >= 0, of four elements. */
static inline int32x4_t aligned(const int8_t *g, int32_t shift, mve_pred16_t inside)
{
    const int32x4_t value = vshlq_n_s32(vldrbq_z_s32(g, inside), 8);
    return shift == 0 ? value : tt_rh_s32x4(value, shift);
}

/* rh(256 * a + rh(256 * b, b_shift), shift) of 4 * fours elements; returns the peak. In assembly
 * for the narrowing moves, and the maximum that stays in a register. */
static int32_t add_fours(size_t fours, int32_t b_shift, int32_t shift, int32_t peak,
                         const int8_t *a, const int8_t *b, int8_t *out)
{
    const int32x4_t b_left = vdupq_n_s32(31 - b_shift);
    const int32x4_t left = vdupq_n_s32(31 - shift);
    const int8x16_t lowest = vdupq_n_s8(-INT8_MAX);
    /* clang-format off */
#define TT_ADD_LOOP(align_b)                                                      \
    __asm volatile("dls lr, %[fours]\n"                                           \
                   "1:\n"                                                         \
                   "vldrb.s32 q0, [%[a]], #4\n"                                   \
                   "vldrb.s32 q1, [%[b]], #4\n"                                   \
                   "vshl.i32 q0, q0, #8\n"                                        \
                   "vshl.i32 q1, q1, #8\n" align_b "vadd.i32 q0, q0, q1\n"        \
                   TT_RH("q0", "q1", "%q[left]", "%[down]", "%[one]")             \
                   "vmaxav.s32 %[peak], q0\n"                                     \
                   "vqmovnb.s32 q0, q0\n"                                         \
                   "vqmovnb.s16 q0, q0\n"                                         \
                   "vmax.s8 q0, q0, %q[lowest]\n"                                 \
                   "vstrb.32 q0, [%[out]], #4\n"                                  \
                   "le lr, 1b\n"                                                  \
                   : [a] "+l"(a), [b] "+l"(b), [out] "+l"(out), [peak] "+r"(peak) \
                   : [fours] "r"(fours), [left] "w"(left), [b_left] "w"(b_left),  \
                     [lowest] "w"(lowest),                                        \
                     [down] "r"(-shift), [b_down] "r"(-b_shift), [one] "r"(1)     \
                   : "q0", "q1", "q2", "lr", "cc", "memory")
    /* clang-format on */
    if (b_shift == 0) {
        TT_ADD_LOOP("");
    } else {
        TT_ADD_LOOP(TT_RH("q1", "q2", "%q[b_left]", "%[b_down]", "%[one]"));
    }
    return peak;
}

void tt_grad_add_s8_mve(size_t size, const tt_rescale *rescale, int32_t b_exponent, const int8_t *a,
                        const int8_t *b, int8_t *out)
{
    const int32_t a_exponent = rescale->input_exponent;
    const int32_t larger = a_exponent > b_exponent ? a_exponent : b_exponent;
    tt_rounding rounding = tt_rounding_begin_s8(rescale);
    rounding.shift -= larger - a_exponent;
    const int is_vector = tt_is_vector_shift(rounding.shift);
    /* A shift of 31 gives 0 as every larger one does. */
    const int32_t a_shift = larger - a_exponent < 31 ? larger - a_exponent : 31;
    const int32_t b_shift = larger - b_exponent < 31 ? larger - b_exponent : 31;
    size_t done = 0;
    if (is_vector && a_shift < 31 && b_shift < 31 && size >= 4) {
        /* One of the shifts is 0. */
        const int8_t *coarse = a_shift == 0 ? a : b;
        const int8_t *fine = a_shift == 0 ? b : a;
        done = size / 4 * 4;
        rounding.peak = add_fours(size / 4, a_shift + b_shift, rounding.shift, rounding.peak,
                                  coarse, fine, out);
    }
    for (size_t i = done; i < size; i += 4) {
        const mve_pred16_t inside = vctp32q((uint32_t)(size - i));
        const int32x4_t sum =
            vaddq_s32(aligned(a + i, a_shift, inside), aligned(b + i, b_shift, inside));
        if (is_vector) {
            const int32x4_t r = tt_rh_s32x4(sum, rounding.shift);
            const int32x4_t limit = vdupq_n_s32(INT8_MAX);
            rounding.peak = (int32_t)vmaxavq_p_s32((uint32_t)rounding.peak, r, inside);
            vstrbq_p_s32(out + i, vmaxq_s32(vminq_s32(r, limit), vnegq_s32(limit)), inside);
            continue;
        }
        int32_t sums[4];
        vstrwq_s32(sums, sum);
        for (size_t k = i; k < size && k < i + 4; k++) {
            out[k] = tt_rounded_s8(sums[k - i], &rounding);
        }
    }
    tt_rounding_end_s8(rescale, rounding);
}

#endif
