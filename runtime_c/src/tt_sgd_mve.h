/* Updates of rows of weights on MVE: tt_sgd.h for eight elements at a time. */
#ifndef TT_SGD_MVE_H
#define TT_SGD_MVE_H

#if defined(__ARM_FEATURE_MVE)

#include "tt_sgd.h"

/* Where random numbers of elements 1, 3, 5, 7 and 2, 4, 6, 8 of a row come from. Without randomness
 * they are 2^31 and stay so. */
typedef struct {
    uint32_t odd_factor[4], odd_step[4];
    uint32_t even_factor[4], even_step[4];
    tt_jump eight;
    int32_t is_random;
} tt_randoms;

tt_randoms tt_randoms_of_mve(const tt_sgd *sgd);

/* Six more sums than a row has are read, as eights may begin at an odd element. */
#define TT_SUMS_BEHIND 6U

/* Elements [index, index + count) after sums[i][which] - offset, all of the channel that sgd is at.
 * Eight at a time where h and the fractional bits allow it. TT_SUMS_BEHIND more sums are read and
 * not used. */
void tt_update_row_mve(tt_sgd *sgd, const tt_randoms *randoms, const tt_trained *trained,
                       size_t index, size_t count, const int32_t (*sums)[2], size_t which,
                       int32_t offset);

#endif
#endif
