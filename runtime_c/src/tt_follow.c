/* Moments of a convolution's channels, and the two integers that follow them: docs/arithmetic.md
 * section 11. */
#include "tt_follow.h"

#include "tt_requantize.h"
#include "tt_root.h"

#define LARGEST_MEAN (1 << 23)   /* 2^-16 units: 128 of the probe */
#define LARGEST_SQUARE (1 << 30) /* 128^2 */
#define LARGEST_BIAS (1 << 30)

uint32_t tt_follow_shift(uint32_t samples)
{
    /* A saved file may hold any count. */
    const uint32_t most = 1U << TT_FOLLOW_LAST_SHIFT;
    const uint32_t counted = samples < most ? samples : most;
    uint32_t shift = TT_FOLLOW_FIRST_SHIFT;
    while (shift < TT_FOLLOW_LAST_SHIFT && counted + (1U << TT_FOLLOW_FIRST_SHIFT) >= 2U << shift) {
        shift++;
    }
    return shift;
}

/* Both differ by less than 2^31 - 2^8: means by 2^24, squares, which are not negative, by 2^30. */
static int32_t towards(int32_t held, int32_t found, uint32_t shift)
{
    return held + ((found - held + (1 << (shift - 1))) >> shift);
}

void tt_follow_observe(const tt_follow *follow, uint32_t shift, const int8_t *y, int32_t *moments)
{
    const uint32_t channels = follow->channels;
    for (uint32_t c = 0; c < channels; c++, moments += 2) {
        /* At most 65,536 positions: within 2^23 and 2^30. */
        int32_t sum = 0;
        int32_t squares = 0;
        const int8_t *at = y + c;
        for (uint32_t p = 0; p < follow->positions; p++, at += channels) {
            sum += *at;
            squares += *at * *at;
        }
        const int32_t m = follow->mean_multiplier;
        const int32_t s = follow->mean_shift;
        moments[0] = towards(tt_clamp_s32(moments[0], -LARGEST_MEAN, LARGEST_MEAN),
                             tt_requantize(sum, m, s), shift);
        moments[1] = towards(tt_clamp_s32(moments[1], 0, LARGEST_SQUARE),
                             tt_requantize(squares, m, s), shift);
    }
}

/* The standard deviation in 2^-8, at most 2^15. mean^2 < 2^47. */
static int32_t spread_of(int32_t mean, int32_t square)
{
    const int32_t variance = square - (int32_t)((int64_t)mean * mean >> 16);
    return variance > 0 ? (int32_t)tt_root_u32((uint32_t)variance, 1U << 30) : 0;
}

/* How often value has to be halved until it has 16 bits at most. */
static uint32_t halvings(uint32_t value)
{
    return value > 0xFFFFU ? 16U - (uint32_t)__builtin_clz(value) : 0;
}

/* d * d^4 / (d^4 + t^4) for |d| < 2^16 and 0 < t < 2^15. Squares are at most 2^32 - 1; of 16 bits
 * each, the halves of their squares add up to less than 2^32; a share is at most 2^15. */
static int32_t shrunk(int32_t moved, uint32_t tolerance)
{
    const uint32_t size = moved < 0 ? (uint32_t)-moved : (uint32_t)moved;
    uint32_t squared = size * size;
    uint32_t limit = tolerance * tolerance;
    const uint32_t scaled = halvings(squared > limit ? squared : limit);
    squared >>= scaled;
    limit >>= scaled;
    const uint32_t fourth = squared * squared >> 1;
    const uint32_t both = fourth + (limit * limit >> 1);
    const uint32_t halved = halvings(both);
    const uint32_t under = both >> halved;
    const uint32_t share = ((fourth >> halved) << 15) / (under > 0 ? under : 1U);
    const int32_t kept = (int32_t)(size * share >> 15);
    return moved < 0 ? -kept : kept;
}

/* value * factor / 2^16, rounded, a tie up: |value * factor| < 2^62. */
static int64_t scaled_by(int64_t value, int64_t factor)
{
    return (value * factor + (1 << 15)) >> 16;
}

static int32_t clamp_bias(int64_t value)
{
    return value < -LARGEST_BIAS  ? -LARGEST_BIAS
           : value > LARGEST_BIAS ? LARGEST_BIAS
                                  : (int32_t)value;
}

void tt_follow_adjust(const tt_follow *follow, const int32_t *moments, int32_t *bias,
                      int32_t *multiplier)
{
    for (uint32_t c = 0; c < follow->channels; c++, moments += 2) {
        const int32_t source = follow->spread[c];
        bias[c] = follow->probe_bias[c] + follow->center[c];
        multiplier[c] = follow->multiplier[c];
        if (follow->unit[c] == 0) {
            continue;
        }
        const int32_t mean = tt_clamp_s32(moments[0], -LARGEST_MEAN, LARGEST_MEAN);
        const int32_t spread = spread_of(mean, tt_clamp_s32(moments[1], 0, LARGEST_SQUARE));
        const int32_t least = (source + TT_FOLLOW_LARGEST_RATIO - 1) / TT_FOLLOW_LARGEST_RATIO;
        const int32_t now =
            tt_clamp_s32(source + shrunk(spread - source, TT_FOLLOW_SPREAD_TOLERANCE), least,
                         source * TT_FOLLOW_LARGEST_RATIO);
        const int32_t moved =
            shrunk(tt_clamp_s32(mean >> 8, -0x7FFF, 0x7FFF), TT_FOLLOW_MEAN_TOLERANCE);
        /* Both deviations are at most 2^15: neither quotient leaves 32 bits. */
        const uint32_t gain = ((uint32_t)source << 16) / (uint32_t)now;
        const uint32_t inverse = ((uint32_t)now << 16) / (uint32_t)source;
        multiplier[c] = tt_saturate_s32(scaled_by(follow->multiplier[c], gain));
        bias[c] = clamp_bias(follow->probe_bias[c] + scaled_by(follow->center[c], inverse) -
                             scaled_by(moved, follow->unit[c]));
    }
}
