/* L2 normalisation and its gradient. d = x - zero; S, the sum of d * d, is below 2^31. */
#include "tt_gradient.h"
#include "tt_root.h"

/* Of the roots of what is at most 2^16, and of what is at most 2^62. */
#define TOP_OF_16 (1U << 16)
#define TOP_OF_62 (UINT64_C(1) << 62)

static uint32_t squares(size_t channels, int8_t zero, const int8_t *x)
{
    uint32_t sum = 0;
    for (size_t c = 0; c < channels; c++) {
        const int32_t d = x[c] - zero;
        sum += (uint32_t)(d * d);
    }
    return sum;
}

void tt_l2_normalize_s8(size_t rows, size_t channels, int8_t zero, const int8_t *x, int8_t *y)
{
    for (size_t row = 0; row < rows; row++, x += channels, y += channels) {
        const uint32_t sum = squares(channels, zero, x);
        const uint32_t divisor = sum > 0 ? sum : 1;
        for (size_t c = 0; c < channels; c++) {
            /* d * d <= 65025, so the numerator is below 2^32, and the quotient at most 2^16. */
            const int32_t d = x[c] - zero;
            const uint32_t quotient = ((uint32_t)(d * d) << 16) / divisor;
            const int32_t magnitude = (int32_t)((tt_root_u32(quotient, TOP_OF_16) + 1) >> 1);
            y[c] = (int8_t)tt_clamp_s32(d < 0 ? -magnitude : magnitude, -128, 127);
        }
    }
}

/* What a vector's elements have in common: its part along y, and 1 / |x|. */
typedef struct {
    int64_t part;
    int64_t factor;
} whole;

/* `up` is 30 - p, and |dot| < 2^(24 + p), so the numerator is below 2^54. */
static whole whole_of(int64_t dot, uint32_t sum, uint64_t inverse, int up)
{
    const int64_t numerator = dot * ((int64_t)1 << up);
    const int64_t half = sum >> 1;
    const int64_t part = (numerator < 0 ? numerator - half : numerator + half) / (int64_t)sum;
    return (whole){part, tt_root_u64(inverse / sum, TOP_OF_62)};
}

/* G - y * (y . G) in 2^(p - 22), below 2^30, times a factor below 2^31. */
static inline int64_t across(int64_t g, int32_t d, whole vector, int up)
{
    return ((g * ((int64_t)1 << up) - d * vector.part + 128) >> 8) * vector.factor;
}

static whole vector_s8(int64_t dot, uint32_t sum, uint64_t inverse, float scale)
{
    (void)scale;
    return whole_of(dot, sum, inverse, 23);
}

static whole vector_s16(int64_t dot, uint32_t sum, uint64_t inverse, float scale)
{
    (void)scale;
    return whole_of(dot, sum, inverse, 15);
}

static inline int64_t across_s8(int8_t g, int32_t d, whole vector)
{
    return across(g, d, vector, 23);
}

static inline int64_t across_s16(int16_t g, int32_t d, whole vector)
{
    return across(g, d, vector, 15);
}

typedef struct {
    float part;
    float factor;
} real;

static real vector_f32(float dot, uint32_t sum, uint64_t inverse, float scale)
{
    (void)inverse;
    const float length = (float)sum;
    /* The root of 1 / S to 14 bits and more, and one step of Newton's method. */
    float root = (float)tt_root_u64((UINT64_C(1) << 62) / sum, TOP_OF_62) * 0x1p-31F;
    root = root * (1.5F - ((0.5F * length) * root) * root);
    return (real){dot / length, root * scale};
}

static inline float across_f32(float g, int32_t d, real vector)
{
    return (g - (float)d * vector.part) * vector.factor;
}

typedef whole vector_type_s8;
typedef whole vector_type_s16;
typedef real vector_type_f32;

#define TT_BODY "tt_l2_normalize_grad.inc.h"
#include "tt_each_dtype.inc.h"
