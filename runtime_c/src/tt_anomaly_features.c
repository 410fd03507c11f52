/* How far the features of a sample are from those of normal ones: docs/arithmetic.md, "Anomalies".
 */
#include "tt_anomaly.h"

static float at_least_floor(float variance)
{
    return variance > TT_ANOMALY_FLOOR ? variance : TT_ANOMALY_FLOOR;
}

float tt_anomaly_diagonal(float sum, size_t size, const int8_t *x, const float *mean,
                          const float *variance)
{
    for (size_t i = 0; i < size; i++) {
        const float deviation = (float)x[i] - mean[i];
        sum += deviation * deviation / at_least_floor(variance[i]);
    }
    return sum;
}

void tt_anomaly_diagonal_learn(size_t size, const int8_t *x, float weight, float *mean,
                               float *variance)
{
    const float keep = 1.0F - weight;
    for (size_t i = 0; i < size; i++) {
        const float deviation = (float)x[i] - mean[i];
        const float part = weight * deviation;
        mean[i] += part;
        variance[i] = keep * (variance[i] + part * deviation);
    }
}

void tt_anomaly_deviation(size_t size, const int8_t *x, const float *mean, float *deviation)
{
    for (size_t i = 0; i < size; i++) {
        deviation[i] = (float)x[i] - mean[i];
    }
}

float tt_anomaly_covariance(size_t size, const float *spread, const float *factor, float *work)
{
    float sum = 0;
    for (size_t j = 0; j < size; j++) {
        const float own = work[j];
        sum += own * own / at_least_floor(spread[j]);
        for (size_t r = j + 1; r < size; r++) {
            work[r] -= own * *factor++;
        }
    }
    return sum;
}

void tt_anomaly_covariance_learn(size_t size, float weight, float *mean, float *spread,
                                 float *factor, float *work)
{
    for (size_t i = 0; i < size; i++) {
        mean[i] += weight * work[i];
    }
    if (!(weight < 1.0F)) {
        return; /* the first sample has no deviation */
    }
    const float keep = 1.0F - weight;
    for (size_t j = 0; j < size; j++) {
        const float own = work[j];
        const float old = at_least_floor(spread[j]);
        const float part = weight * own;
        const float grown = old + part * own;
        const float slope = part / grown;
        weight = weight * old / grown;
        spread[j] = keep * grown;
        for (size_t r = j + 1; r < size; r++, factor++) {
            work[r] -= own * *factor;
            *factor += slope * work[r];
        }
    }
}
