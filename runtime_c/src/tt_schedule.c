/* From the number of a step to its learning rate: docs/arithmetic.md section 6. */
#include "tt_kernels.h"

/* 0 < factor < 1: the squares go down to 0, and no further. */
static float power(float factor, uint32_t exponent)
{
    float result = 1.0F;
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1U) {
            result = result * factor;
        }
        factor = factor * factor;
    }
    return result;
}

/* cos(pi/2 * s / period), 0 <= s < period < 2^31: the argument is mirrored into [0, pi/4], where
 * the polynomials hold. Source: Moshier, Cephes, sinf.c. */
static float cos_quarter(uint32_t s, uint32_t period)
{
    const int mirrored = s > period - s;
    const float x = ((float)(mirrored ? period - s : s) / (float)period) * 1.57079637F;
    const float z = x * x;
    if (mirrored) {
        float p = -1.9515295891e-4F * z;
        p = (p + 8.3321608736e-3F) * z;
        p = (p - 1.6666654611e-1F) * z;
        return p * x + x;
    }
    float p = 2.443315711809948e-5F * z;
    p = (p - 1.388731625493765e-3F) * z;
    p = (p + 4.166664568298827e-2F) * z;
    return (p * z - 0.5F * z) + 1.0F;
}

float tt_rate_at(const tt_schedule *schedule, float base, uint32_t t)
{
    if (t < schedule->warm_up) {
        return base * ((float)(t + 1U) / (float)schedule->warm_up);
    }
    const uint32_t s = t - schedule->warm_up;
    if (schedule->kind == TT_SCHEDULE_STEP) {
        return base * power(schedule->factor, s / schedule->period);
    }
    if (schedule->kind == TT_SCHEDULE_COSINE) {
        if (s >= schedule->period) {
            return 0;
        }
        const float c = cos_quarter(s, schedule->period);
        return base * (c * c);
    }
    if (schedule->kind == TT_SCHEDULE_SETTLE) {
        const float share = (float)schedule->period / ((float)schedule->period + (float)s);
        return base * (share > schedule->factor ? share : schedule->factor);
    }
    return base;
}
