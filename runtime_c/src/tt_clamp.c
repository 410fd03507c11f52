/* Where the clamp of a forward output lets the gradient pass: strictly between its ends. */
#include "tt_gradient.h"

void tt_clamp_mask_s8(size_t size, int8_t lo, int8_t hi, const int8_t *y, uint8_t *mask)
{
    for (size_t first = 0; first < size; first += 8) {
        const size_t count = size - first < 8 ? size - first : 8;
        uint32_t bits = 0;
        for (size_t i = 0; i < count; i++) {
            bits |= (uint32_t)(lo < y[first + i] && y[first + i] < hi) << i;
        }
        mask[first >> 3] = (uint8_t)bits;
    }
}

#define TT_BODY "tt_clamp_grad.inc.h"
#include "tt_each_dtype.inc.h"
