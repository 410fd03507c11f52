/* Huber's loss in single precision: docs/arithmetic.md section 3. */
#include "tt_kernels.h"

float tt_huber_f32(size_t size, const float *output, const float *target, float *gradient)
{
    const float count = (float)size;
    const float factor = 1.0F / count;
    float sum = 0;
    for (size_t i = 0; i < size; i++) {
        const float difference = output[i] - target[i];
        const float distance = difference < 0.0F ? -difference : difference;
        const float square = 0.5F * difference * difference;
        const float slope = distance <= 1.0F ? difference : difference < 0.0F ? -1.0F : 1.0F;
        sum += distance <= 1.0F ? square : distance - 0.5F;
        gradient[i] = slope * factor;
    }
    return sum / count;
}
