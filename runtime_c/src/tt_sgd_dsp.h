/* From sums to updates of a row of weights on a core with DSP instructions: tt_sgd.h, four weights
 * at a time. */
#ifndef TT_SGD_DSP_H
#define TT_SGD_DSP_H

#include "tt_sgd.h"

#if defined(__ARM_FEATURE_SIMD32)

/* tt_delta_s8, once in a program. */
int64_t tt_any_delta_dsp(tt_sgd *sgd, int32_t sum);

/* Sums of a row: sum i is at[i / 4 * step + i % 4], and none is beyond +-most. step is 4 where the
 * index of the row's first weight is odd. */
typedef struct {
    const int32_t *at;
    size_t step;
    int32_t most;
} tt_sums_dsp;

/* Updates weights `index`, index + 1, ... by their sums; sgd stands at their channel and before the
 * random number of the first. Four fractional bits and h in 36..62 are fast unless the sums leave D
 * no 12 bits, and fastest where `most` tells so. */
void tt_update_sums_dsp(const tt_trained *trained, size_t index, size_t size, tt_sgd *sgd,
                        const tt_sums_dsp *sums);

/* The same for sums of which no bound is known. */
static inline void tt_update_row_dsp(const tt_trained *trained, size_t index, size_t size,
                                     tt_sgd *sgd, const int32_t *sums)
{
    tt_update_sums_dsp(trained, index, size, sgd, &(const tt_sums_dsp){sums, 4, INT32_MAX});
}

#endif
#endif
