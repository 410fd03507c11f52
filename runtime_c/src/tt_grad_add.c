/* Sum of the gradients of two branches. */
#include "tt_gradient.h"

/* A branch on the way to the larger exponent, in 1/256. Requires shift >= 0, 0 for at least one of
 * the branches: at most 256 * 2^15 = 2^23. */
static inline int32_t aligned_s8(int8_t g, int32_t shift)
{
    return shift == 0 ? g * 256 : tt_rh(g * 256, shift);
}

static inline int32_t aligned_s16(int16_t g, int32_t shift)
{
    return shift == 0 ? g * 256 : tt_rh(g * 256, shift);
}

static inline float aligned_f32(float g, int32_t shift)
{
    (void)shift;
    return g;
}

#define TT_BODY "tt_grad_add.inc.h"
#include "tt_each_dtype.inc.h"
