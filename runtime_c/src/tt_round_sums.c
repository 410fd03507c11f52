/* What slices of the output channels have summed up, as an input gradient. */
#include "tt_gradient.h"

#define TT_DEFINE_ROUND_SUMS(dtype, type)                                                   \
    void tt_round_sums_##dtype(size_t size, const tt_rescale *rescale, const int32_t *sums, \
                               type *dx)                                                    \
    {                                                                                       \
        tt_rounding rounding = tt_rounding_begin_##dtype(rescale);                          \
        for (size_t i = 0; i < size; i++) {                                                 \
            dx[i] = tt_rounded_##dtype(sums[i], &rounding);                                 \
        }                                                                                   \
        tt_rounding_end_##dtype(rescale, rounding);                                         \
    }

TT_DEFINE_ROUND_SUMS(s8, int8_t)
TT_DEFINE_ROUND_SUMS(s16, int16_t)
