/* Residual addition, and subtraction with a negative factor. Its gradient is the gradient of the
 * sum, moved; see tt_grad_add.c for branches. */
#include "tt_requantize.h"

/* y = clamp(sum + zero, lo, hi) - bias; the caller chooses zero, lo and hi to match the bias. */
static inline void add_all(const tt_add *add, int32_t zero, int32_t lo, int32_t hi, int32_t bias,
                           size_t size, const int8_t *a, const int8_t *b, int8_t *y)
{
    const int32_t a_factor = add->a_factor;
    const int32_t b_factor = add->b_factor;
    const int32_t shift = add->shift;
    const int32_t half = 1 << (shift - 1);
    const int32_t a_zero = add->a_zero;
    const int32_t b_zero = add->b_zero;
    for (size_t i = 0; i < size; i++) {
        /* Two products below 255 * 2^21 and half a unit, at most 2^29: below 2^31 in magnitude.
         * Shifted, at most 2^30. */
        const int32_t sum = (a[i] - a_zero) * a_factor + (b[i] - b_zero) * b_factor;
        y[i] = (int8_t)(tt_clamp_s32(((sum + half) >> shift) + zero, lo, hi) - bias);
    }
}

void tt_add_s8(const tt_add *add, size_t size, const int8_t *a, const int8_t *b, int8_t *y)
{
    if (add->lo == INT8_MIN && add->hi == INT8_MAX) {
        /* As in tt_requantize_rows. */
        add_all(add, add->zero + 128, 0, 255, 128, size, a, b, y);
    } else {
        add_all(add, add->zero, add->lo, add->hi, 0, size, a, b, y);
    }
}
