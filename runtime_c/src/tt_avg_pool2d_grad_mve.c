/* Gradient of an average pool for MVE. tt_avg_pool2d_grad.inc.h is the reference. */
#include "tt_avg_pool2d.h"
#include "tt_kernels_mve.h"

#if defined(__ARM_FEATURE_MVE)

#include "tt_gradient_mve.h"

/* Lanes behind the last channel are 0. */
static void mean_gradient(const tt_pool_window *windows, size_t count, size_t channels,
                          tt_rounding *rounding, int8_t *dx)
{
    const int32_t shift = rounding->shift;
    uint32_t peak = (uint32_t)rounding->peak;
    for (size_t c = 0; c < channels; c += 8) {
        const mve_pred16_t inside = vctp16q((uint32_t)(channels - c));
        int32x4_t even = vdupq_n_s32(0);
        int32x4_t odd = vdupq_n_s32(0);
        for (size_t i = 0; i < count; i++) {
            const int16x8_t g = vldrbq_z_s16(windows[i].g + c, inside);
            const int16x8_t m = vdupq_n_s16((int16_t)windows[i].factor);
            even = vaddq_s32(even, vrshrq_n_s32(vmullbq_int_s16(g, m), 7));
            odd = vaddq_s32(odd, vrshrq_n_s32(vmulltq_int_s16(g, m), 7));
        }
        even = tt_rh_s32x4(even, shift);
        odd = tt_rh_s32x4(odd, shift);
        peak = vmaxavq_s32(vmaxavq_s32(peak, even), odd);
        int16x8_t r = vqmovntq_s32(vqmovnbq_s32(vdupq_n_s16(0), even), odd);
        r = vminq_s16(vmaxq_s16(r, vdupq_n_s16(-INT8_MAX)), vdupq_n_s16(INT8_MAX));
        vstrbq_p_s16(dx + c, r, inside);
    }
    rounding->peak = (int32_t)peak;
}

/* In assembly for its tail predication, which compilers do not reach from intrinsics. */
static void repeat(int8_t *to, size_t distance, size_t size)
{
    const int8_t *from = to - distance;
    if (distance >= 16 && size > 0) {
        __asm volatile("dlstp.8 lr, %[size]\n"
                       "1:\n"
                       "vldrb.8 q0, [%[from]], #16\n"
                       "vstrb.8 q0, [%[to]], #16\n"
                       "letp lr, 1b\n"
                       : [from] "+l"(from), [to] "+l"(to)
                       : [size] "r"(size)
                       : "q0", "lr", "cc", "memory");
        return;
    }
    for (; size > 0; size--) {
        *to++ = *from++;
    }
}

void tt_avg_pool2d_s8_grad_mve(const tt_window *window, const tt_factors *factors,
                               int count_include_pad, const tt_rescale *rescale, const int8_t *g,
                               int8_t *dx)
{
    tt_rounding rounding = tt_rounding_begin_s8(rescale);
    if (rounding.shift < 1) {
        tt_avg_pool2d_s8_grad(window, factors, count_include_pad, rescale, g, dx);
        return;
    }
    tt_pool_gradient_of_patches(window, factors, count_include_pad, g, mean_gradient, repeat,
                                &rounding, dx);
    tt_rounding_end_s8(rescale, rounding);
}

#endif
