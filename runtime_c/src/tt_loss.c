/* Losses in single precision, in the order of docs/arithmetic.md section 3. Every statement rounds
 * once for each operation that it writes. Source of the approximations: Moshier, Cephes, expf and
 * logf. */
#include "tt_float.h"
#include "tt_kernels.h"

#define LN2_HIGH 0.693359375F
#define LN2_LOW (-2.12194440e-4F)

float tt_exp_f32(float x)
{
    if (x < -87.0F) {
        return 0;
    }
    /* -126 <= k <= 0 */
    const int32_t k = (int32_t)(x * 1.44269504F - 0.5F);
    const float power = (float)k;
    const float r = (x - power * LN2_HIGH) - power * LN2_LOW;
    float p = 1.9875691500e-4F;
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    return (((p * r) * r + r) + 1.0F) * tt_power_of_two(k);
}

float tt_log_f32(float x)
{
    int32_t k = tt_exponent_of(x);
    float f = x * tt_power_of_two(-k);
    if (f < 0.707106781186547524F) {
        k -= 1;
        f = f + f;
    }
    f = f - 1.0F;
    const float z = f * f;
    float p = 7.0376836292e-2F;
    p = p * f - 1.1514610310e-1F;
    p = p * f + 1.1676998740e-1F;
    p = p * f - 1.2420140846e-1F;
    p = p * f + 1.4249322787e-1F;
    p = p * f - 1.6668057665e-1F;
    p = p * f + 2.0000714765e-1F;
    p = p * f - 2.4999993993e-1F;
    p = p * f + 3.3333331174e-1F;
    float t = (p * f) * z;
    t = t + (float)k * LN2_LOW;
    t = t - 0.5F * z;
    return (f + t) + (float)k * LN2_HIGH;
}

int tt_all_finite_f32(size_t size, const float *x)
{
    for (size_t i = 0; i < size; i++) {
        /* Only a NaN or an infinity minus itself is no zero. */
        if (!(x[i] - x[i] == 0.0f)) {
            return 0;
        }
    }
    return 1;
}

int32_t tt_argmax_f32(size_t size, const float *x)
{
    size_t best = 0;
    for (size_t i = 1; i < size; i++) {
        best = x[i] > x[best] ? i : best;
    }
    return (int32_t)best;
}

float tt_softmax_cross_entropy_f32(size_t size, const float *logits, int32_t label, float *gradient)
{
    const float largest = logits[tt_argmax_f32(size, logits)];
    const float at_label = logits[label] - largest;
    float sum = 0;
    for (size_t i = 0; i < size; i++) {
        gradient[i] = tt_exp_f32(logits[i] - largest);
        sum += gradient[i];
    }
    for (size_t i = 0; i < size; i++) {
        gradient[i] = gradient[i] / sum - (i == (size_t)label ? 1.0F : 0.0F);
    }
    return tt_log_f32(sum) - at_label;
}

float tt_smoothed_cross_entropy_f32(size_t size, const float *logits, int32_t label,
                                    float smoothing, float *gradient)
{
    const float largest = logits[tt_argmax_f32(size, logits)];
    const float at_label = logits[label] - largest;
    const float on = 1.0F - smoothing;
    const float off = smoothing / (float)size;
    float sum = 0;
    float shifted_sum = 0;
    for (size_t i = 0; i < size; i++) {
        const float shifted = logits[i] - largest;
        shifted_sum += shifted;
        gradient[i] = tt_exp_f32(shifted);
        sum += gradient[i];
    }
    for (size_t i = 0; i < size; i++) {
        gradient[i] = gradient[i] / sum - (i == (size_t)label ? off + on : off);
    }
    return (tt_log_f32(sum) - on * at_label) - off * shifted_sum;
}

float tt_mean_squared_error_f32(size_t size, const float *output, const float *target,
                                float *gradient)
{
    const float count = (float)size;
    const float factor = 2.0F / count;
    float sum = 0;
    for (size_t i = 0; i < size; i++) {
        const float difference = output[i] - target[i];
        sum += difference * difference;
        gradient[i] = difference * factor;
    }
    return sum / count;
}
