/* Which classes come, and which are predicted: docs/arithmetic.md section 12. */
#include "tt_kernels.h"

#define ENOUGH 8U

void tt_count_step(size_t classes, tt_class_counts *counts, int32_t label, int32_t prediction)
{
    const uint32_t wanted = 32U * (uint32_t)classes;
    const uint32_t window = wanted < 256U ? 256U : wanted;
    uint32_t steps = 0; /* below window + 1: at most 256 classes, so that all counts fit 16 bits */
    for (size_t i = 0; i < classes; i++) {
        steps += counts[i].labels;
        counts[i].since = (uint16_t)(counts[i].since + (counts[i].since < UINT16_MAX));
    }
    if (steps >= window) {
        for (size_t i = 0; i < classes; i++) {
            counts[i].labels >>= 1;
            counts[i].right >>= 1;
            counts[i].predictions >>= 1;
        }
    }
    tt_class_counts *const own = &counts[label];
    own->labels = (uint16_t)(own->labels + 1U);
    own->right = (uint16_t)(own->right + (prediction == label));
    own->since = 0;
    counts[prediction].predictions = (uint16_t)(counts[prediction].predictions + 1U);
}

void tt_sum_classes(size_t classes, const tt_class_counts *counts, float fade, float rate,
                    tt_class_health *health)
{
    const uint32_t least = 8U * (uint32_t)classes;
    const float steps = fade / rate; /* infinite, or NaN, at a rate of 0 */
    uint32_t after = steps < 65535.0F ? (uint32_t)steps : UINT16_MAX;
    health->absent_after = after < least ? least : after;
    health->steps = 0;
    health->class_count = (uint32_t)classes;
    health->classes = counts;
    for (size_t i = 0; i < classes; i++) {
        health->steps += counts[i].labels;
    }
}

tt_class_trend tt_class_trend_of(const tt_class_health *health, uint32_t label)
{
    const tt_class_counts *const own = &health->classes[label];
    /* All are below 2^16. A class that is rare is absent after four times its usual interval. */
    const uint32_t since = own->since;
    const uint32_t labels = own->labels;
    if (since >= health->absent_after && (labels < 2U || since * labels >= 4U * health->steps)) {
        return TT_CLASS_ABSENT;
    }
    return labels >= ENOUGH && 4U * own->predictions < labels ? TT_CLASS_FADING : TT_CLASS_WELL;
}
