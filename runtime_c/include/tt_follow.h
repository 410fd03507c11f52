/* Following drift by the forward pass alone: docs/arithmetic.md section 11. Generated code calls
 * this; an application calls NAME_follow and NAME_follow_reset. */
#ifndef TT_FOLLOW_H
#define TT_FOLLOW_H

#include "tinytrain.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TT_FOLLOW_FIRST_SHIFT 5        /* the first sample's share of the moments is 2^-5 */
#define TT_FOLLOW_LAST_SHIFT 8         /* and that of all later ones 2^-8 */
#define TT_FOLLOW_LARGEST_RATIO 4      /* of a standard deviation to that of training, and back */
#define TT_FOLLOW_MEAN_TOLERANCE 1024  /* 2^-8 units of the probe: a quarter of a deviation */
#define TT_FOLLOW_SPREAD_TOLERANCE 410 /* a tenth of a deviation */

/* What is known of the channels of a convolution. Its probe is the same convolution with a bias and
 * a multiplier that make of the accumulators of training an s8 with mean 0 and 16 units for a
 * standard deviation, in every channel.
 * |center|, |bias| and |bias - center| are at most 2^30, unit and multiplier not negative,
 * positions at most 65,536. A channel with unit 0, which stood still in training, is left alone;
 * any other has a spread of 2^8 or more.
 */
typedef struct {
    const int32_t *probe_bias; /* [channels] bias - center */
    const int32_t *center;     /* [channels] mean of the accumulators in training */
    const int32_t *unit;       /* [channels] accumulators in a unit of the probe, in 2^-8 */
    const int32_t *multiplier; /* [channels] as compiled */
    const uint16_t *spread; /* [channels] deviation of the probe in training, in 2^-8: at most 2^15
                             */
    uint32_t channels, positions;
    int32_t mean_multiplier, mean_shift; /* from a sum to a mean in 2^-16, as for tt_requantize */
} tt_follow;

/* The share 2^-shift of the sample that comes after so many: training counts as the 2^5 samples
 * before the first one, and all of them count alike, until a share is 2^-8. */
uint32_t tt_follow_shift(uint32_t samples);

/* moments[channels][2]: the running mean of the probe's output and of its square, in 2^-16. Takes
 * y[positions][channels] in, the probe's output for one sample, with a share of 2^-shift. */
void tt_follow_observe(const tt_follow *follow, uint32_t shift, const int8_t *y, int32_t *moments);

/* The bias and the multiplier that bring each channel back to its moments in training, from any
 * content of moments: |bias| <= 2^30 and 0 <= multiplier < 2^31, as every kernel needs them. */
void tt_follow_adjust(const tt_follow *follow, const int32_t *moments, int32_t *bias,
                      int32_t *multiplier);

#ifdef __cplusplus
}
#endif

#endif
