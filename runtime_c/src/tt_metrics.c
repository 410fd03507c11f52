/* What an application keeps of an evaluation, and when it stops to train. */
#include <float.h>

#include "tinytrain.h"
#include "tt_flags.h"

void tt_metrics_reset(tt_metrics *metrics)
{
    metrics->count = 0;
    metrics->correct = 0;
    metrics->loss = 0.0F;
}

void tt_metrics_add(tt_metrics *metrics, const tt_result *result, int32_t label)
{
    if (metrics->count == UINT32_MAX) {
        metrics->count /= 2U;
        metrics->correct /= 2U;
    }
    metrics->count += 1U;
    metrics->correct += result->prediction == label;
    /* A running mean stays of the size of a loss, where a sum would lose the last bits of many. */
    metrics->loss += (result->loss - metrics->loss) / (float)metrics->count;
}

float tt_metrics_accuracy(const tt_metrics *metrics)
{
    return metrics->count == 0 ? 0.0F : (float)metrics->correct / (float)metrics->count;
}

float tt_metrics_balanced_accuracy(const tt_metrics *of_classes, uint32_t classes)
{
    float sum = 0.0F;
    uint32_t present = 0;
    for (uint32_t i = 0; i < classes; i++) {
        sum += tt_metrics_accuracy(&of_classes[i]);
        present += of_classes[i].count != 0;
    }
    return present == 0 ? 0.0F : sum / (float)present;
}

void tt_early_stop_reset(tt_early_stop *stop, float min_delta, uint16_t patience)
{
    stop->best = -FLT_MAX;
    stop->min_delta = min_delta;
    stop->patience = patience;
    stop->waited = 0;
}

tt_verdict tt_early_stop_add(tt_early_stop *stop, float score)
{
    /* After an infinite score none would ever be better. */
    if (score > stop->best + stop->min_delta && score <= FLT_MAX) {
        stop->best = score;
        stop->waited = 0;
        return TT_IMPROVED;
    }
    stop->waited = (uint16_t)(stop->waited + (stop->waited < UINT16_MAX));
    return stop->patience != 0 && stop->waited >= stop->patience ? TT_STOP : TT_WAITING;
}
