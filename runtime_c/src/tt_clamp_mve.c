/* Where the clamp of a forward output lets the gradient pass, for MVE. tt_clamp.c is the
 * reference. */
#include "tt_kernels_mve.h"

#if defined(__ARM_FEATURE_MVE)

#include <arm_mve.h>

/* Predicates have one bit for each of 16 bytes, in order: they are the mask. Loops in assembly,
 * which keep them in their register; the second comparison counts only where the first held. */
#define TT_BETWEEN "vcmp.s8 gt, q0, %[lo]\nvpst\nvcmpt.s8 lt, q0, %[hi]\n"

void tt_clamp_mask_s8_mve(size_t size, int8_t lo, int8_t hi, const int8_t *y, uint8_t *mask)
{
    if (size >= 16) {
        uint32_t bits;
        /* clang-format off */
        __asm volatile("dls lr, %[n]\n"
                       "1:\n"
                       "vldrb.8 q0, [%[y]], #16\n" TT_BETWEEN "vmrs %[bits], p0\n"
                       "strh %[bits], [%[mask]], #2\n"
                       "le lr, 1b\n"
                       : [y] "+r"(y), [mask] "+r"(mask), [bits] "=&r"(bits)
                       : [n] "r"(size / 16), [lo] "r"((int32_t)lo), [hi] "r"((int32_t)hi)
                       : "q0", "lr", "cc", "memory");
        /* clang-format on */
    }
    size %= 16;
    if (size > 0) {
        const mve_pred16_t inside = vctp8q((uint32_t)size);
        const int8x16_t last = vldrbq_z_s8(y, inside);
        const uint32_t bits = vcmpltq_m_n_s8(last, hi, vcmpgtq_m_n_s8(last, lo, inside));
        mask[0] = (uint8_t)bits;
        if (size > 8) {
            mask[1] = (uint8_t)(bits >> 8);
        }
    }
}

void tt_grad_clamp_s8_mve(size_t size, int8_t lo, int8_t hi, const int8_t *g, const int8_t *y,
                          int8_t *out)
{
    if (size >= 16) {
        /* A load under a predicate gives 0 where it does not hold. */
        /* clang-format off */
        __asm volatile("dls lr, %[n]\n"
                       "1:\n"
                       "vldrb.8 q0, [%[y]], #16\n" TT_BETWEEN "vpst\n"
                       "vldrbt.8 q1, [%[g]], #16\n"
                       "vstrb.8 q1, [%[out]], #16\n"
                       "le lr, 1b\n"
                       : [y] "+r"(y), [g] "+r"(g), [out] "+r"(out)
                       : [n] "r"(size / 16), [lo] "r"((int32_t)lo), [hi] "r"((int32_t)hi)
                       : "q0", "q1", "lr", "cc", "memory");
        /* clang-format on */
    }
    size %= 16;
    if (size > 0) {
        const mve_pred16_t inside = vctp8q((uint32_t)size);
        const int8x16_t last = vldrbq_z_s8(y, inside);
        const mve_pred16_t passes = vcmpltq_m_n_s8(last, hi, vcmpgtq_m_n_s8(last, lo, inside));
        vstrbq_p_s8(out, vldrbq_z_s8(g, passes), inside);
    }
}

void tt_grad_clamp_mask_s8_mve(size_t size, const int8_t *g, const uint8_t *mask, int8_t *out)
{
    if (size >= 16) {
        uint32_t bits;
        __asm volatile("dls lr, %[n]\n"
                       "1:\n"
                       "ldrh %[bits], [%[mask]], #2\n"
                       "vmsr p0, %[bits]\n"
                       "vpst\n"
                       "vldrbt.8 q0, [%[g]], #16\n"
                       "vstrb.8 q0, [%[out]], #16\n"
                       "le lr, 1b\n"
                       : [g] "+r"(g), [mask] "+r"(mask), [out] "+r"(out), [bits] "=&r"(bits)
                       : [n] "r"(size / 16)
                       : "q0", "lr", "cc", "memory");
    }
    size %= 16;
    if (size > 0) {
        const mve_pred16_t inside = vctp8q((uint32_t)size);
        const uint32_t bits = size > 8 ? mask[0] | (uint32_t)mask[1] << 8 : mask[0];
        vstrbq_p_s8(out, vldrbq_z_s8(g, (mve_pred16_t)(inside & bits)), inside);
    }
}

#endif
