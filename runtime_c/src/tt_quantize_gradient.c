/* The loss gradient as integers with a power of two in front. */
#include "tt_float.h"
#include "tt_gradient.h"

/* n for the largest magnitude a = f * 2^k: a becomes f * 2^p. A subnormal a, which has no k here,
 * is far below the least n in any case. n is at most 129 - 7. Requires a > 0. */
static inline int32_t normaliser(float largest, int32_t p)
{
    const int32_t k = largest < FLT_MIN ? -126 : tt_exponent_of(largest);
    return k - p > -120 ? k - p : -120;
}

static inline int32_t normaliser_s8(float largest)
{
    return normaliser(largest, 7);
}

static inline int32_t normaliser_s16(float largest)
{
    return normaliser(largest, 15);
}

static inline int32_t normaliser_f32(float largest)
{
    (void)largest;
    return 0;
}

/* clamp(value / 2^n rounded half away from zero, +-limit). The product is exact or below half a
 * unit; beyond the limit nothing is rounded, so that the difference from the truncated value is
 * exact. */
static inline int32_t entry(float value, int32_t n, int32_t limit)
{
    const float scaled = value * tt_power_of_two(-n);
    const float magnitude = scaled < 0 ? -scaled : scaled;
    int32_t rounded = 0;
    if (magnitude >= (float)limit) {
        rounded = limit;
    } else if (magnitude == magnitude) { /* a NaN counts as 0 */
        rounded = (int32_t)magnitude;
        rounded += magnitude - (float)rounded >= 0.5F;
    }
    return scaled < 0 ? -rounded : rounded;
}

static inline int8_t entry_s8(float value, int32_t n)
{
    return (int8_t)entry(value, n, INT8_MAX);
}

static inline int16_t entry_s16(float value, int32_t n)
{
    return (int16_t)entry(value, n, INT16_MAX);
}

static inline float entry_f32(float value, int32_t n)
{
    (void)n;
    return value;
}

#define TT_BODY "tt_quantize_gradient.inc.h"
#include "tt_each_dtype.inc.h"
