/* Residual addition for MVE. tt_add.c is the reference. */
#include "tt_kernels_mve.h"

#if defined(__ARM_FEATURE_MVE)

#include "tt_requantize_mve.h"

/* Both zero points and the half of the last unit are one constant; every sum is below 2^31 in
 * magnitude, or wraps on its way there. The loop is in assembly because gcc copies registers around
 * the narrowing moves. */
void tt_add_s8_mve(const tt_add *add, size_t size, const int8_t *a, const int8_t *b, int8_t *y)
{
    const uint32_t zeros =
        (uint32_t)(add->a_zero * add->a_factor) + (uint32_t)(add->b_zero * add->b_factor);
    const int32_t constant = (int32_t)((1U << (add->shift - 1)) - zeros);
    const int8x16_t lo = vdupq_n_s8(add->lo);
    const int8x16_t hi = vdupq_n_s8(add->hi);
    const int32_t down = -add->shift;
    const int32_t zero = add->zero;
    const int32_t a_factor = add->a_factor;
    const int32_t b_factor = add->b_factor;
    /* Four elements of a and b: q2 is the constant. */
    /* clang-format off */
#define TT_ADD_FOUR(sum)            \
    "vldrb.s32 q3, [%[a]], #4\n"    \
    "vmov " sum ", q2\n"            \
    "vmla.s32 " sum ", q3, %[fa]\n" \
    "vldrb.s32 q3, [%[b]], #4\n"    \
    "vmla.s32 " sum ", q3, %[fb]\n" \
    "vshl.s32 " sum ", %[down]\n"
    if (size >= 4) {
        __asm volatile("vdup.32 q2, %[constant]\n"
                       "dls lr, %[n]\n"
                       "1:\n" TT_ADD_FOUR("q0")
                       "vqmovnb.s32 q0, q0\n"
                       "vqadd.s16 q0, q0, %[zero]\n"
                       "vqmovnb.s16 q0, q0\n"
                       "vmax.s8 q0, q0, %q[lo]\n"
                       "vmin.s8 q0, q0, %q[hi]\n"
                       "vstrb.32 q0, [%[y]], #4\n"
                       "le lr, 1b\n"
                       : [a] "+l"(a), [b] "+l"(b), [y] "+l"(y)
                       : [n] "r"(size / 4), [constant] "r"(constant), [fa] "r"(a_factor),
                         [fb] "r"(b_factor),
                         [down] "r"(down), [zero] "r"(zero), [lo] "w"(lo), [hi] "w"(hi)
                       : "q0", "q2", "q3", "lr", "cc", "memory");
        /* clang-format on */
    }
    for (size %= 4; size > 0; size--) {
        const int32_t sum =
            (*a++ - add->a_zero) * add->a_factor + (*b++ - add->b_zero) * add->b_factor;
        *y++ = tt_offset_s8((sum + (1 << (add->shift - 1))) >> add->shift, add->zero, add->lo,
                            add->hi);
    }
}

#endif
