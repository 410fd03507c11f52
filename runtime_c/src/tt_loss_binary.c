/* Binary cross-entropy of logits in single precision: docs/arithmetic.md section 3. */
#include "tt_kernels.h"

int tt_all_between_f32(size_t size, float low, float high, const float *x)
{
    for (size_t i = 0; i < size; i++) {
        if (!(x[i] >= low && x[i] <= high)) { /* a NaN is nowhere */
            return 0;
        }
    }
    return 1;
}

float tt_binary_cross_entropy_f32(size_t size, const float *logits, const float *target,
                                  float *gradient)
{
    const float count = (float)size;
    float sum = 0;
    for (size_t i = 0; i < size; i++) {
        const float z = logits[i];
        const float positive = z > 0.0F ? z : 0.0F;
        const float power = tt_exp_f32(z > 0.0F ? -z : z);
        const float whole = 1.0F + power;
        const float probability = (z > 0.0F ? 1.0F : power) / whole;
        const float at_target = z * target[i];
        sum += (positive - at_target) + tt_log_f32(whole);
        gradient[i] = (probability - target[i]) / count;
    }
    return sum / count;
}

float tt_weighted_binary_cross_entropy_f32(size_t size, const float *logits, const float *target,
                                           const float *weights, float *gradient)
{
    const float count = (float)size;
    float sum = 0;
    for (size_t i = 0; i < size; i++) {
        const float z = logits[i];
        const float power = tt_exp_f32(z > 0.0F ? -z : z);
        const float whole = 1.0F + power;
        const float probability = (z > 0.0F ? 1.0F : power) / whole;
        const float positive = target[i] * weights[i];
        const float share = (1.0F - target[i]) + positive;
        const float below = z < 0.0F ? -z : 0.0F; /* the loss of a positive is below + log(whole) */
        sum += (1.0F - target[i]) * z + share * (below + tt_log_f32(whole));
        gradient[i] = (probability * share - positive) / count;
    }
    return sum / count;
}
