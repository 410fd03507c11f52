/* Where the clamp of a forward output lets the gradient pass: strictly between its ends. */
#include "tt_gradient.h"

/* 1 where value passes. `above` is lo + 1 and `span` the number of values from there to hi, at most
 * 254: one comparison for both ends. */
static inline uint32_t passes(int8_t value, int32_t above, uint32_t span)
{
    return (uint32_t)(value - above) < span;
}

static inline uint32_t span_of(int8_t lo, int8_t hi)
{
    return hi > lo ? (uint32_t)(hi - lo - 1) : 0;
}

void tt_clamp_mask_s8(size_t size, int8_t lo, int8_t hi, const int8_t *y, uint8_t *mask)
{
    const int32_t above = lo + 1;
    const uint32_t span = span_of(lo, hi);
    for (; size >= 8; size -= 8, y += 8) {
        const uint32_t low = passes(y[0], above, span) | passes(y[1], above, span) << 1 |
                             passes(y[2], above, span) << 2 | passes(y[3], above, span) << 3;
        const uint32_t high = passes(y[4], above, span) | passes(y[5], above, span) << 1 |
                              passes(y[6], above, span) << 2 | passes(y[7], above, span) << 3;
        *mask++ = (uint8_t)(low | high << 4);
    }
    if (size > 0) {
        uint32_t bits = 0;
        for (size_t i = 0; i < size; i++) {
            bits |= passes(y[i], above, span) << i;
        }
        *mask = (uint8_t)bits;
    }
}

#define TT_BODY "tt_clamp_grad.inc.h"
#include "tt_each_dtype.inc.h"
