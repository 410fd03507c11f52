/* Adam with a second moment for each output channel: docs/arithmetic.md section 6. */
#include "tt_root.h"
#include "tt_sgd.h"

enum { VELOCITY_BITS = 4, HORIZON = 1000, ROOT_BITS = 8 /* so that its square counts in 2^-16 */ };

/* Of roots: what is below 2^62. */
#define TOP (UINT64_C(1) << 60)

/* A factor m * 2^-h on a velocity. */
typedef struct {
    int32_t m; /* 0, or in [2^15, 2^16) */
    int32_t h; /* 0 to 55 */
} gain;

/* The second moment with one more mean square in it: of the first windows the plain mean. */
static float moved_second(float second, float mean, const tt_adam_rule *rule, const tt_step *step)
{
    const uint32_t windows = step->count / rule->window;
    const float share = 1.0F / (float)(windows < HORIZON - 1 ? windows + 1U : (uint32_t)HORIZON);
    return second + (mean - second) * share;
}

/* No training leads beyond the bound, but a saved file may hold anything, a NaN included. */
static float bounded(float second, float bound)
{
    return second >= 0.0F && second < bound ? second : bound;
}

/* rate * constant / root; the largest float below 2^16 and the least number are its bounds. */
static gain gain_of(const tt_step *step, float constant, uint32_t root)
{
    float factor = step->rate * constant / (float)root;
    factor = factor < 65535.0F ? factor : 65535.0F;
    if (!(factor >= 0x1p-40F)) {
        return (gain){0, 0};
    }
    /* The upper 16 of the 24 bits of the significand. 2^-40 <= factor < 2^16. */
    const uint32_t significand = (tt_bits_of(factor) & 0x7FFFFFU) | 0x800000U;
    return (gain){(int32_t)(significand >> 8), 16 - tt_exponent_of(factor)};
}

/* floor(V * m * 2^-h + r * 2^-32): |V| <= 2^30, so that the product is below 2^46, and r << 23
 * below 2^55. */
static int64_t move(int32_t velocity, gain by, tt_sgd *from)
{
    const uint64_t r = tt_sgd_random(from);
    const uint64_t part = by.h <= 32 ? r >> (32 - by.h) : r << (by.h - 32);
    return (velocity * (int64_t)by.m + (int64_t)part) >> by.h;
}

void tt_adam_s8(size_t channels, size_t size, const tt_adam_rule *rule, const tt_step *step,
                const float *constants, const tt_trained *trained, const tt_trained *velocity,
                float *second)
{
    tt_sgd from = tt_apply_begin(&rule->apply, step);
    const uint32_t bits = trained->fraction_bits;
    const int32_t decay = tt_decay_of(&rule->apply, step);
    for (size_t o = 0; o < channels; o++) {
        int64_t squares = 0; /* |V| < 2^12 */
        for (size_t i = o * size; i < (o + 1) * size; i++) {
            const int32_t waiting = tt_whole(velocity, i, VELOCITY_BITS);
            squares += waiting * waiting;
        }
        const float sought = moved_second(second[o], (float)squares * rule->inverse, rule, step);
        second[o] = bounded(sought, 0x1p24F);
        const uint64_t scaled = (uint64_t)(second[o] * 0x1p16F);
        const gain by =
            gain_of(step, constants[o], tt_root_u64(scaled, TOP) + (1U << (ROOT_BITS - 1)));
        for (size_t i = o * size; i < (o + 1) * size; i++) {
            const int32_t whole = tt_whole(trained, i, bits);
            const int32_t waiting = tt_whole(velocity, i, VELOCITY_BITS);
            /* Below 2^28. */
            int32_t moved = whole + (int32_t)move(waiting, by, &from);
            if (rule->apply.decay > 0) {
                /* |whole| <= 2^15, so that the product is at most 2^45. */
                moved -= (int32_t)((whole * (int64_t)decay + tt_sgd_random(&from)) >> 32);
            }
            tt_put_whole(trained, i, bits, moved);
            tt_put_whole(velocity, i, VELOCITY_BITS,
                         tt_kept_s32(waiting, rule->apply.momentum, &from));
        }
    }
}

void tt_adam_s32(size_t size, const tt_adam_rule *rule, const tt_step *step, const float *units,
                 float constant, int32_t *bias, int32_t *velocity, float *second)
{
    tt_sgd from = tt_apply_begin(&rule->apply, step);
    float squares = 0;
    for (size_t i = 0; i < size; i++) {
        const float real = (float)velocity[i] * units[i];
        squares += real * real;
    }
    *second = bounded(moved_second(*second, squares * rule->inverse, rule, step), 0x1p60F);
    const gain by = gain_of(step, constant, tt_root_u64((uint64_t)*second, TOP) + 1U);
    for (size_t i = 0; i < size; i++) {
        const int32_t waiting = velocity[i];
        bias[i] = tt_apply_bias(bias[i], -move(waiting, by, &from));
        velocity[i] = tt_kept_s32(waiting, rule->apply.momentum, &from);
    }
}
