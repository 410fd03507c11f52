/* Gradient of an average pool for MVE. tt_avg_pool2d_grad.inc.h is the reference. */
#include "tt_avg_pool2d.h"
#include "tt_kernels_mve.h"

#if defined(__ARM_FEATURE_MVE)

#include "tt_gradient_mve.h"

/* The gradient of one element in all channels, from the windows over it; returns the peak. Lanes
 * behind the last channel are 0. */
static int32_t mean_gradient(const tt_pool_window *windows, size_t count, size_t channels,
                             tt_rounding rounding, int8_t *dx)
{
    uint32_t peak = (uint32_t)rounding.peak;
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
        even = tt_rh_s32x4(even, rounding.shift);
        odd = tt_rh_s32x4(odd, rounding.shift);
        peak = vmaxavq_s32(vmaxavq_s32(peak, even), odd);
        int16x8_t r = vqmovntq_s32(vqmovnbq_s32(vdupq_n_s16(0), even), odd);
        r = vminq_s16(vmaxq_s16(r, vdupq_n_s16(-INT8_MAX)), vdupq_n_s16(INT8_MAX));
        vstrbq_p_s16(dx + c, r, inside);
    }
    return (int32_t)peak;
}

/* to[i] = to[i - distance], i < size, in order: what was written here may be copied again. In
 * assembly for its tail predication, which compilers do not reach from intrinsics. */
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
    const size_t channels = window->in_c;
    const size_t row_size = window->in_w * channels;
    tt_rounding rounding = tt_rounding_begin_s8(rescale);
    tt_patch patch = {0, 0, 0, 0};
    if (rounding.shift < 1) {
        tt_avg_pool2d_s8_grad(window, factors, count_include_pad, rescale, g, dx);
        return;
    }
    for (; patch.ih < window->in_h; patch.ih += patch.rows) {
        int8_t *row = dx + patch.ih * row_size;
        patch.rows = tt_alike_rows(window, patch.ih);
        for (patch.iw = 0; patch.iw < window->in_w; patch.iw += patch.columns) {
            tt_pool_window windows[TT_MOST_POOL_WINDOWS];
            int8_t *to = row + patch.iw * channels;
            const size_t count = tt_list_pool_windows(window, factors, count_include_pad, patch.ih,
                                                      patch.iw, g, windows);
            patch.columns = tt_alike_columns(window, patch.iw);
            rounding.peak = mean_gradient(windows, count, channels, rounding, to);
            repeat(to + channels, channels, (patch.columns - 1) * channels);
        }
        repeat(row + row_size, row_size, (patch.rows - 1) * row_size);
    }
    tt_rounding_end_s8(rescale, rounding);
}

#endif
