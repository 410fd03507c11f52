/* The learning rate, and the scales of the gradients: docs/arithmetic.md sections 5 and 6. */
#include "tt_float.h"
#include "tt_requantize.h"

void tt_set_rate(tt_step *step, float rate)
{
    if (rate < FLT_MIN) {
        step->rate = 0;
        step->rate_mantissa = 0;
        step->rate_exponent = TT_NO_RATE_EXPONENT;
        return;
    }
    /* The 24 bits of the significand, at the top of 31. */
    const uint32_t significand = (tt_bits_of(rate) & 0x7fffffU) | 0x800000U;
    step->rate = rate;
    step->rate_mantissa = (int32_t)(significand << 7);
    step->rate_exponent = tt_exponent_of(rate);
}

void tt_scales_begin(size_t count, tt_scale *scales)
{
    for (size_t i = 0; i < count; i++) {
        scales[i].peak = 0;
    }
}

/* A peak is cut at 2^20 and the running maximum is at most 2^28 after it. Both loops end: each turn
 * moves the exponent by one within [-60, 60]. */
static void end_scale(tt_scale *scale, uint32_t limit)
{
    const uint32_t top = limit << 8;
    const uint32_t peak = (uint32_t)tt_clamp_s32(scale->peak, 0, 1 << 20) << 8;
    uint32_t r = scale->running_max;
    r -= (r >> 6) + (r > 0);
    r = r > peak ? r : peak;
    while (r > top && scale->exponent < 60) {
        scale->exponent++;
        r = (r + 1) >> 1;
    }
    while (r > 0 && r <= top / 2 && scale->exponent > -60) {
        scale->exponent--;
        r *= 2;
    }
    scale->running_max = r;
}

static void count_health(tt_gradient_health *health, const tt_scale *scale, int32_t limit,
                         int32_t before)
{
    health->saturated += scale->peak > limit && health->saturated < UINT32_MAX;
    health->rises =
        (uint16_t)(health->rises + (scale->exponent > before && health->rises < UINT16_MAX));
    health->falls =
        (uint16_t)(health->falls + (scale->exponent < before && health->falls < UINT16_MAX));
}

void tt_scales_end(size_t count, tt_scale *scales, int32_t limit, int active,
                   tt_gradient_health *health)
{
    for (size_t i = 0; active && i < count; i++) {
        const int32_t before = scales[i].exponent;
        end_scale(&scales[i], (uint32_t)limit);
        if (health != NULL) {
            count_health(&health[i], &scales[i], limit, before);
        }
    }
}
