/* What waits in a velocity, applied to what is trained: docs/arithmetic.md section 6. */
#include "tt_root.h"
#include "tt_sgd.h"

enum { VELOCITY_RESOLUTION = 8, VELOCITY_BITS = 4 };

/* r >> drop, r being the next number; drop <= 31. */
static int64_t draw(tt_sgd *from, uint32_t drop)
{
    return (int64_t)(tt_sgd_random(from) >> drop);
}

/* Velocities of weights are below 2^12, so that their products fit 32 bits; those of biases are
 * within +-2^30. */
static int32_t clipped_s8(int32_t velocity, int32_t factor, tt_sgd *from)
{
    return (velocity * factor + (int32_t)draw(from, 17)) >> 15;
}

static int32_t kept_s8(int32_t velocity, int32_t momentum, tt_sgd *from)
{
    return momentum == 0 ? 0 : (velocity * momentum + (int32_t)draw(from, 16)) >> 16;
}

static int32_t clipped_s32(int32_t velocity, int32_t factor, tt_sgd *from)
{
    return (int32_t)((velocity * (int64_t)factor + draw(from, 17)) >> 15);
}

/* In units of the trained integer with `bits` fractional bits, at most VELOCITY_RESOLUTION. */
static int32_t move(int32_t velocity, uint32_t bits, tt_sgd *from)
{
    const uint32_t drop = VELOCITY_RESOLUTION - bits;
    return drop == 0 ? velocity : (velocity + (int32_t)draw(from, 32U - drop)) >> drop;
}

/* tt_apply_s8 for `bits` = trained->fraction_bits. Inlined by force: as a constant, `bits` halves
 * the work. */
__attribute__((always_inline)) static inline void
apply_to_weights(size_t size, const tt_apply_rule *rule, const tt_step *step, const int32_t *factor,
                 const tt_trained *trained, uint32_t bits, const tt_trained *velocity)
{
    tt_sgd from = tt_apply_begin(rule, step);
    const int32_t decay = tt_decay_of(rule, step);
    for (size_t i = 0; i < size; i++) {
        const int32_t whole = tt_whole(trained, i, bits);
        int32_t moved = whole;
        int32_t waiting = 0;
        if (velocity != NULL) {
            waiting = tt_whole(velocity, i, VELOCITY_BITS);
            if (factor != NULL) {
                waiting = clipped_s8(waiting, *factor, &from);
            }
            moved += move(waiting, bits, &from);
        }
        if (rule->decay > 0) {
            /* |whole| <= 2^15, so that the product is at most 2^45. */
            moved -= (int32_t)((whole * (int64_t)decay + draw(&from, 0)) >> 32);
        }
        tt_put_whole(trained, i, bits, moved);
        if (velocity != NULL) {
            tt_put_whole(velocity, i, VELOCITY_BITS, kept_s8(waiting, rule->momentum, &from));
        }
    }
}

void tt_apply_s8(size_t size, const tt_apply_rule *rule, const tt_step *step, const int32_t *factor,
                 const tt_trained *trained, const tt_trained *velocity)
{
    if (trained->fraction_bits == 4) {
        apply_to_weights(size, rule, step, factor, trained, 4, velocity);
    } else {
        apply_to_weights(size, rule, step, factor, trained, trained->fraction_bits, velocity);
    }
}

void tt_apply_s32(size_t size, const tt_apply_rule *rule, const tt_step *step,
                  const int32_t *factor, int32_t *bias, int32_t *velocity)
{
    tt_sgd from = tt_apply_begin(rule, step);
    for (size_t i = 0; i < size; i++) {
        int32_t waiting = velocity[i];
        if (factor != NULL) {
            waiting = clipped_s32(waiting, *factor, &from);
        }
        bias[i] = tt_apply_bias(bias[i], -(int64_t)move(waiting, 0, &from));
        velocity[i] = tt_kept_s32(waiting, rule->momentum, &from);
    }
}

float tt_squares_s8(size_t channels, size_t size, const float *units, const tt_trained *velocity)
{
    float total = 0;
    for (size_t o = 0; o < channels; o++) {
        int64_t sum = 0;
        for (size_t i = o * size; i < (o + 1) * size; i++) {
            const int32_t whole = tt_whole(velocity, i, VELOCITY_BITS);
            sum += whole * whole;
        }
        total += (float)sum * units[o];
    }
    return total;
}

float tt_squares_s32(size_t channels, const float *units, const int32_t *velocity)
{
    float total = 0;
    for (size_t o = 0; o < channels; o++) {
        total += (float)((int64_t)velocity[o] * velocity[o]) * units[o];
    }
    return total;
}

int32_t tt_clip_factor(float squares, float limit)
{
    const float most = limit * limit;
    if (!(squares > most)) {
        return 1 << 15;
    }
    return (int32_t)tt_root_u32((uint32_t)(most / squares * 0x1p30F), 1U << 30);
}
