/* Between integers and real numbers. */
#include "tt_float.h"
#include "tt_requantize.h"

void tt_dequantize_s8_f32(size_t size, int8_t zero, float scale, const int8_t *x, float *y)
{
    for (size_t i = 0; i < size; i++) {
        y[i] = (float)(x[i] - zero) * scale;
    }
}

void tt_dequantize_s32_f32(size_t size, size_t channels, const float *scale, const int32_t *x,
                           float *y)
{
    for (size_t i = 0, channel = 0; i < size; i++) {
        y[i] = (float)x[i] * scale[channel];
        channel = channel + 1 == channels ? 0 : channel + 1;
    }
}

/* Requires |value| <= 512: the difference from the truncated value is exact. */
static int32_t round_half_even(float value)
{
    const int32_t truncated = (int32_t)value;
    const float rest = value - (float)truncated;
    if (rest > 0.5F || (rest == 0.5F && (truncated & 1) != 0)) {
        return truncated + 1;
    }
    if (rest < -0.5F || (rest == -0.5F && (truncated & 1) != 0)) {
        return truncated - 1;
    }
    return truncated;
}

/* round_half_even(x / scale) + zero, at most 640 in magnitude; NaN gives zero. */
static inline int32_t unclamped(float x, float scale, int8_t zero)
{
    /* Beyond 512 any zero point leaves the range of s8, so that infinities can be cut there. */
    float ratio = x / scale;
    ratio = ratio < -512.0F ? -512.0F : ratio > 512.0F ? 512.0F : ratio;
    return (ratio == ratio ? round_half_even(ratio) : 0) + zero;
}

void tt_quantize_f32_s8(size_t size, int8_t zero, float scale, const float *x, int8_t *y)
{
    for (size_t i = 0; i < size; i++) {
        y[i] = (int8_t)tt_clamp_s32(unclamped(x[i], scale, zero), INT8_MIN, INT8_MAX);
    }
}

void tt_quantize_input_f32_s8(size_t size, int8_t zero, float scale, const float *x, int8_t *y,
                              tt_input_health *health)
{
    uint32_t clipped = 0;
    for (size_t i = 0; i < size; i++) {
        const int32_t wide = unclamped(x[i], scale, zero);
        y[i] = (int8_t)tt_clamp_s32(wide, INT8_MIN, INT8_MAX);
        clipped += y[i] != wide || x[i] != x[i];
    }
    if (health->seen >= 1U << 31) {
        health->seen >>= 1;
        health->clipped >>= 1;
    }
    health->seen += (uint32_t)size;
    health->clipped += clipped;
}
