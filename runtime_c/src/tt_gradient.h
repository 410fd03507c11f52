/* What the three kinds of gradient do differently: docs/arithmetic.md section 4.
 *
 * A kernel's body stands once, in a file that tt_each_dtype.inc.h includes for s8, s16 and f32; it
 * calls the functions below by TT_FN(tt_factored_, ) and the like.
 */
#ifndef TT_GRADIENT_H
#define TT_GRADIENT_H

#include "tt_requantize.h"

#define TT_PASTE(before, dtype, after) before##dtype##after
#define TT_PASTE_EXPANDED(before, dtype, after) TT_PASTE(before, dtype, after)
#define TT_FN(before, after) TT_PASTE_EXPANDED(before, TT_DTYPE, after)
#define TT_LOOP(before) TT_PASTE_EXPANDED(before, TT_LOOPS, )

/* pre(G, m) = (G * m + 2^(p - 1)) >> p. Requires 0 <= m <= 32767 and |G| <= 2^p - 1: the product is
 * below 2^30, |result| <= m. */
static inline int16_t tt_factored_s8(int8_t g, const tt_factors *factors, size_t index)
{
    return (int16_t)((g * factors->integer[index] + (1 << 6)) >> 7);
}

static inline int16_t tt_factored_s16(int16_t g, const tt_factors *factors, size_t index)
{
    return (int16_t)((g * factors->integer[index] + (1 << 14)) >> 15);
}

static inline float tt_factored_f32(float g, const tt_factors *factors, size_t index)
{
    return g * factors->real[index];
}

/* Weights from one row of a segment's columns to the next. */
static inline size_t tt_row_step(const tt_segment *segment)
{
    return segment->step != 0 ? segment->step : segment->count;
}

/* Where sums of slices grow; NULL where all is rounded at once, as f32 always is. */
static inline int32_t *tt_sums_of_s8(const tt_rescale *rescale)
{
    return rescale->sums;
}

static inline int32_t *tt_sums_of_s16(const tt_rescale *rescale)
{
    return rescale->sums;
}

static inline int32_t *tt_sums_of_f32(const tt_rescale *rescale)
{
    (void)rescale;
    return NULL;
}

/* Rounding of sums to a gradient tensor, and the largest |r| that it has seen. */
typedef struct {
    int32_t shift;
    int32_t peak;
} tt_rounding;

static inline tt_rounding tt_rounding_from(const tt_rescale *rescale, int32_t input_exponent)
{
    const tt_scale *output = rescale->output;
    return (tt_rounding){rescale->shift + output->exponent - input_exponent, output->peak};
}

static inline tt_rounding tt_rounding_begin_s8(const tt_rescale *rescale)
{
    return tt_rounding_from(rescale, rescale->input_exponent);
}

static inline tt_rounding tt_rounding_begin_s16(const tt_rescale *rescale)
{
    return tt_rounding_from(rescale, rescale->input_exponent);
}

/* Gradients in f32 are not rounded and have no scale; rescale may be NULL. */
static inline tt_rounding tt_rounding_begin_f32(const tt_rescale *rescale)
{
    (void)rescale;
    return (tt_rounding){0, 0};
}

static inline void tt_rounding_end_s8(const tt_rescale *rescale, tt_rounding rounding)
{
    rescale->output->peak = rounding.peak;
}

static inline void tt_rounding_end_s16(const tt_rescale *rescale, tt_rounding rounding)
{
    rescale->output->peak = rounding.peak;
}

static inline void tt_rounding_end_f32(const tt_rescale *rescale, tt_rounding rounding)
{
    (void)rescale;
    (void)rounding;
}

/* clamp(r, +-limit), r remembered in the peak. Requires |r| < 2^31. */
static inline int32_t tt_saturated(int32_t r, int32_t limit, tt_rounding *rounding)
{
    const int32_t magnitude = r < 0 ? -r : r;
    rounding->peak = magnitude > rounding->peak ? magnitude : rounding->peak;
    return tt_clamp_s32(r, -limit, limit);
}

/* A sum as an element of the gradient. Requires |acc| <= 2^30, or < 2^62 for the wide ones. */
static inline int8_t tt_rounded_s8(int32_t acc, tt_rounding *rounding)
{
    return (int8_t)tt_saturated(tt_rh(acc, rounding->shift), INT8_MAX, rounding);
}

static inline int16_t tt_rounded_s16(int32_t acc, tt_rounding *rounding)
{
    return (int16_t)tt_saturated(tt_rh(acc, rounding->shift), INT16_MAX, rounding);
}

static inline float tt_rounded_f32(float acc, tt_rounding *rounding)
{
    (void)rounding;
    return acc;
}

static inline int8_t tt_rounded_wide_s8(int64_t acc, tt_rounding *rounding)
{
    return (int8_t)tt_saturated(tt_rh64(acc, rounding->shift), INT8_MAX, rounding);
}

static inline int16_t tt_rounded_wide_s16(int64_t acc, tt_rounding *rounding)
{
    return (int16_t)tt_saturated(tt_rh64(acc, rounding->shift), INT16_MAX, rounding);
}

static inline float tt_rounded_wide_f32(float acc, tt_rounding *rounding)
{
    return tt_rounded_f32(acc, rounding);
}

#endif
