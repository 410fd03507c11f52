/* From a sum to an update of a trained tensor or of its velocity: docs/arithmetic.md section 6. */
#ifndef TT_SGD_H
#define TT_SGD_H

#include "tt_float.h"
#include "tt_requantize.h"

/* An update in progress: its generator, and the factor of the channel that it is at. */
typedef struct {
    uint32_t random;
    int32_t is_random;
    int32_t sum_shift;        /* q */
    int32_t mantissa;         /* m, in [2^29, 2^31), or 0 at rate 0 */
    int32_t shift;            /* h */
    float factor;             /* rate * c[o] */
    tt_update_health *health; /* NULL in a step that counts nothing */
} tt_sgd;

/* The finaliser of MurmurHash3 (Appleby, public domain). */
static inline uint32_t tt_mix(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x85EBCA6BU;
    x ^= x >> 13;
    x *= 0xC2B2AE35U;
    return x ^ (x >> 16);
}

/* Where the random numbers of update `index` of a step start. */
static inline uint32_t tt_random_begin(const tt_step *step, uint32_t index)
{
    return tt_mix(tt_mix(step->seed ^ (step->count * 0x9E3779B9U)) + index * 0x85EBCA6BU);
}

/* The generator: x -> x * TT_RANDOM_FACTOR + TT_RANDOM_STEP. Source of the constants: Numerical
 * Recipes. */
#define TT_RANDOM_FACTOR 1664525U
#define TT_RANDOM_STEP 1013904223U

/* Some steps of it at once: x * factor + step. */
typedef struct {
    uint32_t factor, step;
} tt_jump;

/* `steps` steps, by repeated squaring. */
static inline tt_jump tt_jump_by(size_t steps)
{
    tt_jump all = {1, 0};
    tt_jump power = {TT_RANDOM_FACTOR, TT_RANDOM_STEP};
    for (; steps > 0; steps >>= 1) {
        if (steps & 1U) {
            all = (tt_jump){all.factor * power.factor, all.step * power.factor + power.step};
        }
        power = (tt_jump){power.factor * power.factor, power.step * power.factor + power.step};
    }
    return all;
}

static inline tt_sgd tt_sgd_begin(const tt_update *update, const tt_step *step)
{
    tt_sgd sgd = {0};
    sgd.random = tt_random_begin(step, update->index);
    if (update->first != 0) {
        const tt_jump jump = tt_jump_by(update->first);
        sgd.random = sgd.random * jump.factor + jump.step;
    }
    sgd.is_random = update->is_random;
    sgd.sum_shift = update->sum_shift;
    if (update->health != NULL && step->count % TT_HEALTH_STEPS == 0) {
        sgd.health = update->health;
        /* The first slice of a step halves for all of them. */
        if (update->first == 0 && sgd.health->seen >> 31 != 0) {
            sgd.health->seen >>= 1;
            sgd.health->lost >>= 1;
        }
    }
    return sgd;
}

/* Requires M in [2^30, 2^31) and L_r in {0} or [2^30, 2^31): the product is below 2^62. */
static inline void tt_sgd_channel_integer(tt_sgd *sgd, const tt_update *update, const tt_step *step,
                                          size_t channel)
{
    sgd->mantissa =
        (int32_t)(((int64_t)update->multiplier[channel] * step->rate_mantissa + (1 << 30)) >> 31);
    sgd->shift = 31 - update->shift[channel] - step->rate_exponent - update->exponent -
                 step->normaliser - update->sum_shift;
}

static inline void tt_sgd_channel_s8(tt_sgd *sgd, const tt_update *update, const tt_step *step,
                                     size_t channel)
{
    tt_sgd_channel_integer(sgd, update, step, channel);
}

static inline void tt_sgd_channel_s16(tt_sgd *sgd, const tt_update *update, const tt_step *step,
                                      size_t channel)
{
    tt_sgd_channel_integer(sgd, update, step, channel);
}

static inline void tt_sgd_channel_f32(tt_sgd *sgd, const tt_update *update, const tt_step *step,
                                      size_t channel)
{
    sgd->factor = step->rate * update->real[channel];
}

/* r of the next element: 2^31 rounds to nearest. */
static inline uint32_t tt_sgd_random(tt_sgd *sgd)
{
    if (!sgd->is_random) {
        return 0x80000000U;
    }
    sgd->random = sgd->random * TT_RANDOM_FACTOR + TT_RANDOM_STEP;
    return sgd->random;
}

/* D. |sum * m| < 2^62 and r < 2^32, so no sum overflows. |D| < 2^62. */
static inline int64_t tt_delta_s8(tt_sgd *sgd, int32_t sum)
{
    const uint32_t r = tt_sgd_random(sgd);
    const int64_t product = (int64_t)sum * sgd->mantissa;
    const int32_t h = sgd->shift;
    if (h > 62) {
        return 0;
    }
    if (h > 35) {
        /* Both at most 2^30. */
        return (tt_high_word(sum, sgd->mantissa) + (int32_t)(r >> (64 - h))) >> (h - 32);
    }
    if (h > 0) {
        const uint64_t u = h >= 32 ? (uint64_t)r << (h - 32) : r >> (32 - h);
        return (product + (int64_t)u) >> h;
    }
    /* Cut at 2^31 and shifted by at most 31, which saturates whatever is not 0: at most 2^62. */
    return tt_saturate_s32((int64_t)tt_saturate_s32(product) * (INT64_C(1) << (h > -31 ? -h : 31)));
}

/* Requires |sum| < 2^(31 + q), |sum| < 2^62. */
static inline int64_t tt_delta_s16(tt_sgd *sgd, int64_t sum)
{
    return tt_delta_s8(sgd, tt_rh64(sum, sgd->sum_shift));
}

/* D = floor(d + r / 2^32), d = sum * rate * c clamped to +-2^30, which float and int32_t both hold.
 * A NaN or an infinity, of which nothing is known but that it is wrong, changes nothing. */
static inline int64_t tt_delta_f32(tt_sgd *sgd, float sum)
{
    const uint32_t r = tt_sgd_random(sgd);
    float d = sum * sgd->factor;
    if (!(d - d == 0.0f)) {
        return 0;
    }
    d = d < -0x1p30f ? -0x1p30f : d > 0x1p30f ? 0x1p30f : d;
    d += (float)(r >> 8) * 0x1p-24f;
    const int32_t truncated = (int32_t)d;
    return truncated - ((float)truncated > d);
}

/* Wq = hi * 2^F + lo of element `index`; `bits` = trained->fraction_bits, best a constant. */
static inline int32_t tt_whole(const tt_trained *trained, size_t index, uint32_t bits)
{
    if (bits == 0) {
        return trained->weights[index];
    }
    const int32_t half = (int32_t)(1U << (bits - 1U));
    const size_t bit = index * bits;
    const uint32_t low =
        ((uint32_t)trained->fraction[bit >> 3] >> (bit & 7U)) & ((1U << bits) - 1U);
    return trained->weights[index] * (1 << bits) + (((int32_t)low ^ half) - half);
}

/* Writes Wq, clamped to where hi is an s8. */
static inline void tt_put_whole(const tt_trained *trained, size_t index, uint32_t bits,
                                int32_t moved)
{
    const int32_t half = (int32_t)((1U << bits) >> 1);
    const int32_t whole = tt_clamp_s32(moved, -128 * (1 << bits) - half,
                                       127 * (1 << bits) + (bits != 0 ? half - 1 : 0));
    trained->weights[index] = (int8_t)((whole + half) >> bits);
    if (bits != 0) {
        const uint32_t mask = (1U << bits) - 1U;
        const size_t bit = index * bits;
        const uint32_t place = (uint32_t)(bit & 7U);
        const uint32_t kept = trained->fraction[bit >> 3] & ~(mask << place);
        trained->fraction[bit >> 3] = (uint8_t)(kept | (((uint32_t)whole & mask) << place));
    }
}

/* Counts an update where the step counts. A step begins with `seen` below 2^31, and no tensor has
 * as many elements. */
static inline void tt_count(const tt_sgd *sgd, int has_gradient, int64_t d)
{
    if (sgd->health != NULL && has_gradient) {
        sgd->health->seen++;
        sgd->health->lost += d == 0;
    }
}

/* Element `index` of a trained tensor after D. */
static inline void tt_apply(const tt_trained *trained, size_t index, int64_t d)
{
    const uint32_t bits = trained->fraction_bits;
    /* |Wq| <= 2^15: a D beyond 2^17 moves it to the end of its range, as 2^17 does. */
    const int32_t bound = 1 << 17;
    const int32_t cut = d > bound ? bound : d < -bound ? -bound : (int32_t)d;
    tt_put_whole(trained, index, bits, tt_whole(trained, index, bits) - cut);
}

/* D where 35 < h <= 62, as in tt_delta_s8. */
static inline int32_t tt_delta_short(tt_sgd *sgd, int32_t sum)
{
    const uint32_t r = tt_sgd_random(sgd);
    return (tt_high_word(sum, sgd->mantissa) + (int32_t)(r >> (64 - sgd->shift))) >>
           (sgd->shift - 32);
}

static inline void tt_apply_run(tt_sgd *sgd, const tt_trained *trained, size_t index, size_t count,
                                uint32_t bits, const int32_t *sums)
{
    tt_sgd local = *sgd;
    for (size_t i = 0; i < count; i++) {
        const int32_t d = tt_delta_short(&local, sums[i]);
        tt_put_whole(trained, index + i, bits, tt_whole(trained, index + i, bits) - d);
    }
    sgd->random = local.random;
}

/* Elements [index, index + count) of a trained tensor after their sums, all of the channel that sgd
 * is at. What depends on the channel or the tensor alone is decided here, outside of the loops. */
static inline void tt_apply_sums_s8(tt_sgd *sgd, const tt_trained *trained, size_t index,
                                    size_t count, const int32_t *sums)
{
    const int is_short = sgd->shift > 35 && sgd->shift <= 62 && sgd->health == NULL;
    if (is_short && trained->fraction_bits == 4) {
        tt_apply_run(sgd, trained, index, count, 4, sums);
    } else if (is_short && trained->fraction_bits == 0) {
        tt_apply_run(sgd, trained, index, count, 0, sums);
    } else {
        for (size_t i = 0; i < count; i++) {
            const int64_t d = tt_delta_s8(sgd, sums[i]);
            tt_count(sgd, sums[i] != 0, d);
            tt_apply(trained, index + i, d);
        }
    }
}

static inline void tt_apply_sums_s16(tt_sgd *sgd, const tt_trained *trained, size_t index,
                                     size_t count, const int64_t *sums)
{
    for (size_t i = 0; i < count; i++) {
        const int64_t d = tt_delta_s16(sgd, sums[i]);
        tt_count(sgd, sums[i] != 0, d);
        tt_apply(trained, index + i, d);
    }
}

static inline void tt_apply_sums_f32(tt_sgd *sgd, const tt_trained *trained, size_t index,
                                     size_t count, const float *sums)
{
    for (size_t i = 0; i < count; i++) {
        const int64_t d = tt_delta_f32(sgd, sums[i]);
        tt_count(sgd, sums[i] != 0, d);
        tt_apply(trained, index + i, d);
    }
}

/* A bias after D, held within +-2^30. Requires |D| < 2^62. */
static inline int32_t tt_apply_bias(int32_t bias, int64_t d)
{
    const int64_t moved = bias - d;
    const int32_t bound = 1 << 30;
    return moved > bound ? bound : moved < -bound ? -bound : (int32_t)moved;
}

/* The random numbers of one tensor are all that is used of a tt_sgd where a velocity is applied. */
static inline tt_sgd tt_apply_begin(const tt_apply_rule *rule, const tt_step *step)
{
    return (tt_sgd){.random = tt_random_begin(step, rule->index), .is_random = rule->is_random};
}

/* What a window leaves of a velocity within +-2^30. */
static inline int32_t tt_kept_s32(int32_t velocity, int32_t momentum, tt_sgd *from)
{
    if (momentum == 0) {
        return 0;
    }
    return (int32_t)((velocity * (int64_t)momentum + (int64_t)(tt_sgd_random(from) >> 16)) >> 16);
}

/* The share of a weight that goes, in units of 2^-32: at most 2^30. */
static inline int32_t tt_decay_of(const tt_apply_rule *rule, const tt_step *step)
{
    const float share = step->rate * rule->decay;
    return (int32_t)((share < 0.25F ? share : 0.25F) * 0x1p32F);
}

#endif
