/* Element-wise functions of one s8, as a table, and their gradient. */
#include "tt_gradient.h"

void tt_lookup_s8(const int8_t table[256], size_t size, const int8_t *x, int8_t *y)
{
    for (size_t i = 0; i < size; i++) {
        y[i] = table[x[i] + 128];
    }
}

/* The slope of the function as the table holds it, in units of 2^-shift: the shift of the sum takes
 * them back. */
static inline int32_t slope_s8(int16_t entry, const tt_rescale *rescale)
{
    (void)rescale;
    return entry;
}

static inline int32_t slope_s16(int16_t entry, const tt_rescale *rescale)
{
    (void)rescale;
    return entry;
}

static inline float slope_f32(int16_t entry, const tt_rescale *rescale)
{
    const int32_t shift = rescale == NULL ? 14 : rescale->shift;
    return (float)entry * (1.0F / (float)(INT32_C(1) << shift));
}

#define TT_BODY "tt_lookup_grad.inc.h"
#include "tt_each_dtype.inc.h"
