/* Dot products of one row of inputs with several rows of weights. */
#include "tt_dot.h"

static inline int32_t dot(size_t count, const uint16_t *channels, const int8_t *x, int16_t zero, const int8_t *w)
{
    int32_t sum = 0;
    if (channels == NULL) {
        for (size_t j = 0; j < count; j++) {
            sum += (int16_t)(x[j] - zero) * (int16_t)w[j];
        }
    } else {
        for (size_t j = 0; j < count; j++) {
            sum += (int16_t)(x[channels[j]] - zero) * (int16_t)w[j];
        }
    }
    return sum;
}

void tt_dot_s8(size_t outputs, size_t count, const uint16_t *channels, const int8_t *x, int16_t zero, const int8_t *w,
               size_t step, int32_t *acc)
{
    if (outputs < TT_DOT_OUTPUTS) {
        for (size_t k = 0; k < outputs; k++) {
            acc[k] += dot(count, channels, x, zero, w + k * step);
        }
        return;
    }
    /* Four sums share each input that was loaded. */
    const int8_t *w1 = w + step;
    const int8_t *w2 = w + 2 * step;
    const int8_t *w3 = w + 3 * step;
    int32_t sum0 = 0;
    int32_t sum1 = 0;
    int32_t sum2 = 0;
    int32_t sum3 = 0;
    if (channels == NULL) {
        for (size_t j = 0; j < count; j++) {
            const int16_t centred = (int16_t)(x[j] - zero);
            sum0 += centred * (int16_t)w[j];
            sum1 += centred * (int16_t)w1[j];
            sum2 += centred * (int16_t)w2[j];
            sum3 += centred * (int16_t)w3[j];
        }
    } else {
        for (size_t j = 0; j < count; j++) {
            const int16_t centred = (int16_t)(x[channels[j]] - zero);
            sum0 += centred * (int16_t)w[j];
            sum1 += centred * (int16_t)w1[j];
            sum2 += centred * (int16_t)w2[j];
            sum3 += centred * (int16_t)w3[j];
        }
    }
    acc[0] += sum0;
    acc[1] += sum1;
    acc[2] += sum2;
    acc[3] += sum3;
}
