/* Arguments out of range are refused, and change nothing at all. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "holds.h"
#include "small.h"

static small_state state, before;

static void refuse_rate(float rate)
{
    memcpy(&before, &state, sizeof state);
    HOLDS(small_set_learning_rate(&state, rate) == TT_ERROR_RATE);
    HOLDS(memcmp(&before, &state, sizeof state) == 0);
}

/* What is left of the arena between calls is nobody's. */
#define KEPT offsetof(small_state, arena)

#if SMALL_CLASSES > 0

static void refuse_label(int32_t label)
{
    tt_result result = {-7.0f, -7};
    memcpy(&before, &state, sizeof state);
    HOLDS(small_train_step(&state, label, &result) == TT_ERROR_LABEL);
    HOLDS(small_train_step(&state, label, NULL) == TT_ERROR_LABEL);
    HOLDS(small_evaluate(&state, label, &result) == TT_ERROR_LABEL);
    HOLDS(memcmp(&before, &state, sizeof state) == 0);
    HOLDS(result.loss == -7.0f && result.prediction == -7);
}

static void evaluate(void)
{
    tt_result result;
    tt_metrics metrics;
    tt_metrics_reset(&metrics);
    HOLDS(tt_metrics_accuracy(&metrics) == 0.0f);
    memcpy(&before, &state, sizeof state);
    for (int32_t label = 0; label < SMALL_CLASSES; label++) {
        memset(small_input(&state), 3, SMALL_INPUT_SIZE);
        HOLDS(small_evaluate(&state, label, &result) == TT_OK);
        HOLDS(result.loss >= 0.0f);
        tt_metrics_add(&metrics, &result, label);
    }
    HOLDS(memcmp(&before, &state, KEPT) == 0);
    /* The same sample under every label: right once. */
    HOLDS(metrics.correct == 1 && metrics.count == SMALL_CLASSES && metrics.loss > 0.0f);
}

static void step(void)
{
    tt_result result;
    HOLDS(small_train_step(&state, SMALL_CLASSES - 1, &result) == TT_OK);
    HOLDS(result.prediction >= 0 && result.prediction < SMALL_CLASSES && result.loss >= 0.0f);
    HOLDS(small_train_step(&state, 0, NULL) == TT_OK);
}

static void refuse_targets(void)
{
    refuse_label(-1);
    refuse_label(SMALL_CLASSES);
    refuse_label(INT32_MAX);
    refuse_label(INT32_MIN);
}

#else

static float target[SMALL_OUTPUT_SIZE];

static void refuse_target(size_t place, float value)
{
    tt_result result = {-7.0f, -7};
    target[place] = value;
    memcpy(&before, &state, sizeof state);
    HOLDS(small_train_step(&state, target, &result) == TT_ERROR_TARGET);
    HOLDS(small_evaluate(&state, target, &result) == TT_ERROR_TARGET);
    HOLDS(memcmp(&before, &state, sizeof state) == 0);
    HOLDS(result.loss == -7.0f && result.prediction == -7);
    target[place] = 0.0f;
}

static void evaluate(void)
{
    tt_result result;
    memcpy(&before, &state, sizeof state);
    memset(small_input(&state), 3, SMALL_INPUT_SIZE);
    HOLDS(small_evaluate(&state, target, &result) == TT_OK);
    HOLDS(result.loss > 0.0f);
    /* A square that no float holds: the step changes nothing, and tells the loss. */
    target[0] = 1e20f;
    HOLDS(small_evaluate(&state, target, &result) == TT_OK && isinf(result.loss));
    HOLDS(small_train_step(&state, target, &result) == TT_ERROR_LOSS && isinf(result.loss));
    HOLDS(small_train_step(&state, target, NULL) == TT_ERROR_LOSS);
    /* All but the counters of health, which tell of both. */
    HOLDS(state.health.skipped == before.health.skipped + 2U);
    memcpy(&before.health, &state.health, sizeof before.health);
    HOLDS(memcmp(&before, &state, KEPT) == 0);
    target[0] = 0.0f;
}

static void step(void)
{
    HOLDS(small_train_step(&state, target, NULL) == TT_OK);
}

static void refuse_targets(void)
{
    for (size_t i = 0; i < SMALL_OUTPUT_SIZE; i++) {
        refuse_target(i, NAN);
        refuse_target(i, INFINITY);
        refuse_target(i, -INFINITY);
    }
}

#endif

int main(void)
{
    /* What is not set by init must not matter. */
    memset(&state, 0xa5, sizeof state);
    small_init(&state);
    memset(small_input(&state), 3, SMALL_INPUT_SIZE);
    refuse_targets();
    evaluate();
    step();
    refuse_targets();
    evaluate();

    refuse_rate(NAN);
    refuse_rate(-NAN);
    refuse_rate(-1e-3f);
    refuse_rate(-INFINITY);
    refuse_rate(INFINITY);
    refuse_rate(1024.001f);
    HOLDS(small_set_learning_rate(&state, 1024.0f) == TT_OK);
    HOLDS(small_learning_rate(&state) == 1024.0f);
    step();
    HOLDS(small_set_learning_rate(&state, 1e-45f) == TT_OK);
    step();
    HOLDS(small_set_learning_rate(&state, 0.0f) == TT_OK);
    step();

    /* Inputs that are no numbers are numbers to the model. */
    static float x[SMALL_INPUT_SIZE];
    for (size_t i = 0; i < SMALL_INPUT_SIZE; i++) {
        static const float odd[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-45f};
        x[i] = odd[i % 6];
    }
    small_quantize_input(&state, x);
    step();
    float output[SMALL_OUTPUT_SIZE];
    int32_t prediction = -1;
    HOLDS(small_infer(&state, output, &prediction) == TT_OK);
    HOLDS(prediction >= 0 && prediction < SMALL_OUTPUT_SIZE);
    for (size_t i = 0; i < SMALL_OUTPUT_SIZE; i++) {
        HOLDS(isfinite(output[i]));
    }
    HOLDS(small_infer(&state, NULL, NULL) == TT_OK);
    HOLDS(strlen(small_version()) > 0);
    printf("ok\n");
    return 0;
}
