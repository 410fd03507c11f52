/* A bias in the units of another layer that shares it. */
#include "tt_requantize.h"

void tt_rescale_bias(size_t size, const int32_t *multiplier, const int8_t *shift, const int32_t *b,
                     int32_t *y)
{
    for (size_t i = 0; i < size; i++) {
        y[i] = tt_requantize(b[i], multiplier[i], shift[i]);
    }
}
