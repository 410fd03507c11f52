/* Learns what is normal and flags the rest: a threshold for scores, and two scores by the features
 * of a sample. Generated code calls this; an application calls NAME_anomaly_watch and its like, and
 * reads tt_anomaly_result.
 *
 * All scores are f32, 0 and above, higher for what is less normal. Every statement rounds once for
 * each operation that it writes, in this order, so that all cores give the same bits
 * (docs/arithmetic.md, "Anomalies"). */
#ifndef TT_ANOMALY_H
#define TT_ANOMALY_H

#include "tinytrain.h"
#include "tt_flags.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The scores of normal samples are counted in bins, four an octave from 2^-40 to 2^24. */
#define TT_ANOMALY_BINS 256
#define TT_ANOMALY_LOWEST 348 /* the upper 11 bits of the float 2^-40 */

/* A sample is above the threshold if its score is more than 5/4 of the quantile. Without a margin
 * the threshold would sink for ever, as nothing above it is counted. */
#define TT_ANOMALY_MARGIN 1.25F

/* No feature is known better than to this variance, in squared steps of its s8: a half step. */
#define TT_ANOMALY_FLOOR 0.25F

typedef enum {
    TT_WARMING_UP = 0, /* all is taken as normal, and learned */
    TT_NORMAL,
    TT_ANOMALOUS /* so many samples in a row were above the threshold, and not as many below yet */
} tt_anomaly_verdict;

/* What NAME_anomaly_watch and its like tell of a sample. */
typedef struct {
    float score;     /* before anything was learned from the sample */
    float threshold; /* a score above it is not that of a normal sample; infinite in the warm-up */
    tt_anomaly_verdict verdict; /* of the samples up to this one */
    int32_t learned;            /* 1 if the sample was learned from, else 0 */
    int32_t prediction; /* of a model that is watched by its features: the largest output; else -1
                         */
} tt_anomaly_result;

/* All 0 is the factory value. A saved file holds it. */
typedef struct {
    uint32_t learned;      /* samples that were learned from; stays at 2^32 - 1 */
    uint16_t in_a_row;     /* samples that speak against the verdict, up to the last one */
    uint16_t is_anomalous; /* 1 once the verdict is TT_ANOMALOUS */
} tt_anomaly;

/* How a model is watched; constant. */
typedef struct {
    uint32_t warm_up;  /* samples, 16 to 16,383; the scores of the latter half are counted */
    uint32_t tail;     /* share of the normal scores above the quantile, times 2^32 */
    uint16_t in_a_row; /* samples in a row that change the verdict, at least 1 */
} tt_anomaly_rule;

/* What a call does beside scoring. */
typedef enum {
    TT_ANOMALY_SCORE = 0, /* nothing */
    TT_ANOMALY_WATCH,     /* judges, and learns from what is normal */
    TT_ANOMALY_LEARN      /* learns from a sample that is known to be normal */
} tt_anomaly_use;

/* Judges a finite score >= 0 and counts it: writes score, threshold, verdict and learned. Returns
 * 1 if the sample is to be learned from, else 0; anomaly->learned counts it already.
 *
 * scores: [TT_ANOMALY_BINS]. Once 4 * warm_up scores are counted, all counts are halved, so that
 * old ones fade. The quantile lies in the bin of that of the scores counted, so that it is more
 * than 4/5 and less than 5/4 of it for scores from 2^-40 to 2^24. Any content is accepted. */
int tt_anomaly_judge(const tt_anomaly_rule *rule, tt_anomaly *anomaly, uint16_t *scores,
                     tt_anomaly_use use, float score, tt_anomaly_result *result);

/* Weight of the sample that was counted last in means: 1/n for n = 1 to 4 * warm_up, and that from
 * then on. */
float tt_anomaly_weight(const tt_anomaly_rule *rule, const tt_anomaly *anomaly);

/* The mean of `size` squared distances by a covariance of the samples learned so far, as it would
 * be if they were many: of few samples a covariance makes a new one seem far off, by n / (n - size)
 * (Hotelling). Half the mean where there are fewer than twice as many samples as features. */
float tt_anomaly_corrected(const tt_anomaly_rule *rule, const tt_anomaly *anomaly, size_t size,
                           float sum);

/* Adds to `sum` the squared distance of each feature from its mean, in variances. */
float tt_anomaly_diagonal(float sum, size_t size, const int8_t *x, const float *mean,
                          const float *variance);

/* Takes a sample into the running mean and variance of each feature (Finch, "Incremental
 * calculation of weighted mean and variance", 2009). */
void tt_anomaly_diagonal_learn(size_t size, const int8_t *x, float weight, float *mean,
                               float *variance);

/* x - mean, into `deviation`. */
void tt_anomaly_deviation(size_t size, const int8_t *x, const float *mean, float *deviation);

/* The squared Mahalanobis distance of a deviation. The covariance is held as L * D * transposed L:
 * `spread` has the diagonal of D, `factor` the columns of L below its diagonal of ones, one after
 * the other. work: the deviation [size]; overwritten. */
float tt_anomaly_covariance(size_t size, const float *spread, const float *factor, float *work);

/* Takes a deviation into the running mean and covariance, whose factors change by rank one (Gill,
 * Golub, Murray and Saunders, "Methods for modifying matrix factorizations", 1974, method C1): it
 * stays positive definite whatever comes. work: the deviation [size]; overwritten. */
void tt_anomaly_covariance_learn(size_t size, float weight, float *mean, float *spread,
                                 float *factor, float *work);

#ifdef __cplusplus
}
#endif

#endif
