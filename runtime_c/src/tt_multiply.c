/* Element-wise product, with a factor that may be broadcast, and its gradients. */
#include "tt_gradient.h"

void tt_multiply_s8(const tt_requant *requant, int8_t b_zero, size_t rows, size_t channels,
                    size_t b_row_step, size_t b_channel_step, const int8_t *a, const int8_t *b,
                    int8_t *y)
{
    for (size_t row = 0; row < rows; row++, b += b_row_step) {
        for (size_t c = 0; c < channels; c++) {
            /* At most 255 * 255 < 2^16. */
            const int32_t product = (*a++ - requant->input_zero) * (b[c * b_channel_step] - b_zero);
            *y++ = tt_requantize_s8(requant, 0, product);
        }
    }
}

/* A sum of G * (x - zero) times the scale of x: s8 and s16 |G| * 255 < 2^23, so fewer than 2^24 of
 * them times mu < 2^15 stay below 2^62. */
static inline int64_t scaled_s8(int64_t sum, int16_t mu, float scale)
{
    (void)scale;
    return sum * mu;
}

static inline int64_t scaled_s16(int64_t sum, int16_t mu, float scale)
{
    return scaled_s8(sum, mu, scale);
}

static inline float scaled_f32(float sum, int16_t mu, float scale)
{
    (void)mu;
    return sum * scale;
}

#define TT_BODY "tt_multiply_grad.inc.h"
#include "tt_each_dtype.inc.h"
