/* Residual addition. Its gradient is the gradient of the sum, moved; see tt_grad_add.c for branches. */
#include "tt_requantize.h"

void tt_add_s8(const tt_add *add, size_t size, const int8_t *a, const int8_t *b, int8_t *y)
{
    for (size_t i = 0; i < size; i++) {
        /* |a - zero| * 2^20 < 2^28, and the two multipliers are at most 1/2: the sum is below 2^28. */
        const int32_t left = tt_requantize((a[i] - add->a_zero) * (1 << 20), add->multiplier[0], add->shift[0]);
        const int32_t right = tt_requantize((b[i] - add->b_zero) * (1 << 20), add->multiplier[1], add->shift[1]);
        const int32_t sum = tt_requantize(left + right, add->multiplier[2], add->shift[2]);
        y[i] = tt_offset_s8(sum, add->zero, add->lo, add->hi);
    }
}
