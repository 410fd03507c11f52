/* When a score is that of no normal sample any more: docs/arithmetic.md, "Anomalies". */
#include "tt_anomaly.h"

#include "tt_float.h"

static const uint32_t infinity = 0x7F800000U;

/* The upper 11 bits of a float >= 0 rise with it: its exponent and two more. */
static uint32_t bin_of(float score)
{
    const uint32_t key = tt_bits_of(score) >> 21;
    if (key <= TT_ANOMALY_LOWEST) {
        return 0;
    }
    const uint32_t bin = key - TT_ANOMALY_LOWEST;
    return bin < TT_ANOMALY_BINS ? bin : TT_ANOMALY_BINS - 1;
}

/* At most 256 * 65,535 < 2^24. */
static uint32_t total_of(const uint16_t *scores)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < TT_ANOMALY_BINS; i++) {
        total += scores[i];
    }
    return total;
}

/* A point of the highest bin that has more than the tail at and above it: what of the tail lies in
 * the bin is taken to be spread evenly. In the last bin it is infinite, since what lies beyond is
 * not told apart. */
static float quantile_of(const tt_anomaly_rule *rule, const uint16_t *scores)
{
    const uint32_t tail = (uint32_t)((uint64_t)total_of(scores) * rule->tail >> 32);
    uint32_t above = 0;
    uint32_t bin = TT_ANOMALY_BINS;
    while (bin > 0 && above <= tail) {
        above += scores[--bin];
    }
    if (above <= tail || bin == TT_ANOMALY_BINS - 1) {
        return tt_float_of(infinity); /* nothing is counted, or it lies beyond */
    }
    const uint32_t inside = scores[bin] - (above - tail); /* below 2^16: exact as a float */
    const float low = tt_float_of((bin + TT_ANOMALY_LOWEST) << 21);
    const float high = tt_float_of((bin + TT_ANOMALY_LOWEST + 1U) << 21);
    return high - (high - low) * ((float)inside / (float)scores[bin]);
}

static void count(const tt_anomaly_rule *rule, uint16_t *scores, float score)
{
    if (total_of(scores) >= 4U * rule->warm_up) {
        for (uint32_t i = 0; i < TT_ANOMALY_BINS; i++) {
            scores[i] /= 2U;
        }
    }
    uint16_t *const found = &scores[bin_of(score)];
    *found = (uint16_t)(*found + (*found < UINT16_MAX));
}

/* Turns the verdict once enough samples in a row speak against it. */
static void turn(const tt_anomaly_rule *rule, tt_anomaly *anomaly, int speaks_against)
{
    anomaly->in_a_row = (uint16_t)(speaks_against ? anomaly->in_a_row + 1U : 0U);
    if (anomaly->in_a_row >= rule->in_a_row) {
        anomaly->is_anomalous = !anomaly->is_anomalous;
        anomaly->in_a_row = 0;
    }
}

int tt_anomaly_judge(const tt_anomaly_rule *rule, tt_anomaly *anomaly, uint16_t *scores,
                     tt_anomaly_use use, float score, tt_anomaly_result *result)
{
    const int warms_up = anomaly->learned < rule->warm_up;
    const float quantile = warms_up ? tt_float_of(infinity) : quantile_of(rule, scores);
    result->score = score;
    result->threshold = quantile * TT_ANOMALY_MARGIN;
    int learns = use != TT_ANOMALY_SCORE;
    if (use == TT_ANOMALY_WATCH && !warms_up) {
        turn(rule, anomaly, anomaly->is_anomalous ? score <= quantile : score > result->threshold);
        learns = !anomaly->is_anomalous && score <= result->threshold;
    } else if (use == TT_ANOMALY_LEARN) {
        anomaly->is_anomalous = 0;
        anomaly->in_a_row = 0;
    }
    if (learns) {
        if (anomaly->learned >= rule->warm_up / 2U) {
            count(rule, scores, score);
        }
        anomaly->learned += anomaly->learned < UINT32_MAX;
    }
    result->verdict = warms_up ? TT_WARMING_UP : anomaly->is_anomalous ? TT_ANOMALOUS : TT_NORMAL;
    result->learned = learns;
    return learns;
}

/* Samples that the means and variances are of. */
static uint32_t counted(const tt_anomaly_rule *rule, const tt_anomaly *anomaly)
{
    const uint32_t window = 4U * rule->warm_up;
    return anomaly->learned < window ? anomaly->learned : window;
}

float tt_anomaly_weight(const tt_anomaly_rule *rule, const tt_anomaly *anomaly)
{
    const uint32_t count = counted(rule, anomaly);
    return 1.0F / (float)(count > 0 ? count : 1U);
}

float tt_anomaly_corrected(const tt_anomaly_rule *rule, const tt_anomaly *anomaly, size_t size,
                           float sum)
{
    const uint32_t count = counted(rule, anomaly);
    const float features = (float)size;
    const float mean = sum / features;
    return count < 2U * size ? mean * 0.5F : mean * (1.0F - features / (float)count);
}
