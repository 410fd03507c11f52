/* Cross-entropy of each pixel of a map in single precision: docs/arithmetic.md section 3. */
#include "tt_kernels.h"

int tt_all_below_u8(size_t size, uint32_t limit, const uint8_t *x)
{
    for (size_t i = 0; i < size; i++) {
        if (x[i] >= limit) {
            return 0;
        }
    }
    return 1;
}

float tt_pixel_cross_entropy_f32(size_t pixels, size_t classes, const float *logits,
                                 const uint8_t *labels, float *gradient)
{
    const float count = (float)pixels;
    float sum = 0;
    for (size_t i = 0; i < pixels; i++) {
        sum += tt_softmax_cross_entropy_f32(classes, logits + i * classes, labels[i],
                                            gradient + i * classes);
    }
    for (size_t i = 0; i < pixels * classes; i++) {
        gradient[i] = gradient[i] / count;
    }
    return sum / count;
}

float tt_weighted_pixel_cross_entropy_f32(size_t pixels, size_t classes, const float *logits,
                                          const uint8_t *labels, const float *weights,
                                          float *gradient)
{
    const float count = (float)pixels;
    float sum = 0;
    for (size_t i = 0; i < pixels; i++) {
        float *const slope = gradient + i * classes;
        const float weight = weights[labels[i]];
        const float loss =
            tt_softmax_cross_entropy_f32(classes, logits + i * classes, labels[i], slope);
        sum += loss * weight;
        for (size_t k = 0; k < classes; k++) {
            slope[k] = slope[k] * weight / count;
        }
    }
    return sum / count;
}
