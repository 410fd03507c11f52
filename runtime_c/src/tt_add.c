/* Residual addition. Its gradient is the gradient of the sum, moved; see tt_grad_add.c for branches. */
#include "tt_requantize.h"

void tt_add_s8(const tt_add *add, size_t size, const int8_t *a, const int8_t *b, int8_t *y)
{
    const int32_t half = 1 << (add->shift - 1);
    for (size_t i = 0; i < size; i++) {
        /* Two products below 255 * 2^21 and half a unit, at most 2^29: below 2^31. */
        const int32_t sum = (a[i] - add->a_zero) * add->a_factor + (b[i] - add->b_zero) * add->b_factor;
        y[i] = tt_offset_s8((sum + half) >> add->shift, add->zero, add->lo, add->hi);
    }
}
