/* What a sample of a class counts for in the loss: docs/arithmetic.md section 3. */
#include "tt_kernels.h"

#define LEAST 0.25F
#define MOST 4.0F

float tt_weighted_loss_f32(size_t size, float weight, float loss, float *gradient)
{
    for (size_t i = 0; i < size; i++) {
        gradient[i] = gradient[i] * weight;
    }
    return loss * weight;
}

/* At most 65,535 counts of 16 bits: the sum stays below 2^32, and so does what is added to it. */
static uint32_t sum_of(size_t classes, const uint16_t *counts)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < classes; i++) {
        sum += counts[i];
    }
    return sum;
}

float tt_balanced_weight(size_t classes, const uint16_t *counts, int32_t label)
{
    const uint32_t sum = sum_of(classes, counts);
    uint32_t present = counts[label] == 0;
    for (size_t i = 0; i < classes; i++) {
        present += counts[i] != 0;
    }
    /* present <= 65,535 and counts[label] + 1 <= 65,536: the product stays below 2^32. */
    const float weight = (float)(sum + present) / (float)(present * (counts[label] + 1U));
    return weight < LEAST ? LEAST : weight > MOST ? MOST : weight;
}

void tt_count_class(size_t classes, uint16_t *counts, int32_t label)
{
    const size_t wanted = 8U * classes;
    const size_t window = wanted < 1024U ? 1024U : wanted > 32768U ? 32768U : wanted;
    if (sum_of(classes, counts) >= window) {
        for (size_t i = 0; i < classes; i++) {
            counts[i] >>= 1;
        }
    }
    /* Below the window, or halved: no count wraps around, whatever a file said. */
    counts[label] = (uint16_t)(counts[label] + 1U);
}
