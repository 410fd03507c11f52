/* Watching as an application does it: warm-up, verdicts, corrections, what a file keeps, files made
 * by hand. Prints `ok`, anything else is a failure. */
#include <stdio.h>
#include <string.h>

#include "holds.h"
#include "memory_file.h"
#include "small.h"
#include "tt_kernels.h"

static small_state state, other;
static memory_file saved, probe;

static void save(const small_state *from, memory_file *to)
{
    to->size = 0;
    HOLDS(small_save(from, write_file, to) == TT_OK);
}

static int equal(const small_state *a, const small_state *b)
{
    save(a, &saved);
    save(b, &probe);
    return files_equal(&saved, &probe);
}

#ifdef OF_ERROR
static float target[SMALL_OUTPUT_SIZE];
#define CALL(what, into, result) small_anomaly_##what(into, target, result)
#else
#define CALL(what, into, result) small_anomaly_##what(into, result)
#endif

/* Near 0, or with every element at an end of its range; the error of the latter is large. */
static void put_sample(small_state *into, uint32_t number, int is_odd)
{
    uint32_t random = number;
    for (size_t i = 0; i < SMALL_INPUT_SIZE; i++) {
        random = random * 1664525U + 1013904223U;
        const int value = (int)(random >> 28) - 8;
        small_input(into)[i] = (int8_t)(!is_odd ? value : value < 0 ? -128 : 127);
    }
#ifdef OF_ERROR
    target[0] = is_odd ? 1e6F : 0.0F;
#endif
}

static tt_anomaly_result watch(uint32_t number, int is_odd)
{
    tt_anomaly_result result, scored;
    memcpy(&other, &state, sizeof state);
    put_sample(&state, number, is_odd);
    put_sample(&other, number, is_odd);
    HOLDS(CALL(score, &other, &scored) == TT_OK);
    HOLDS(CALL(watch, &state, &result) == TT_OK);
    HOLDS(scored.score == result.score && scored.threshold == result.threshold && !scored.learned);
    return result;
}

static void warm_up(void)
{
    for (uint32_t i = 0; i < SMALL_ANOMALY_WARM_UP; i++) {
        const tt_anomaly_result result = watch(i % 4U, 0);
        HOLDS(result.verdict == TT_WARMING_UP && result.learned == 1);
        HOLDS(result.threshold > 3e38f);
    }
}

int main(void)
{
    tt_anomaly_result result;
    small_init(&state);
    warm_up();
    HOLDS(watch(3, 0).verdict == TT_NORMAL && watch(3, 0).learned);

    /* The verdict changes with the second sample in a row, and scoring changes nothing. */
    save(&state, &saved);
    put_sample(&state, 7, 1);
    HOLDS(CALL(score, &state, &result) == TT_OK && result.score > result.threshold);
    save(&state, &probe);
    HOLDS(memcmp(saved.bytes, probe.bytes, saved.size) == 0);
    result = watch(7, 1);
    HOLDS(result.verdict == TT_NORMAL && !result.learned && result.score > result.threshold);
    result = watch(8, 1);
    HOLDS(result.verdict == TT_ANOMALOUS && !result.learned);

    /* A file keeps the verdict and all that is normal; the result is not needed. */
    save(&state, &saved);
    small_init(&other);
    HOLDS(small_load(&other, read_file, &saved) == TT_OK && equal(&state, &other));
    put_sample(&state, 9, 1);
    put_sample(&other, 9, 1);
    HOLDS(CALL(watch, &state, NULL) == TT_OK && CALL(watch, &other, &result) == TT_OK);
    HOLDS(equal(&state, &other) && result.verdict == TT_ANOMALOUS);

    /* Somebody knows better. */
    put_sample(&state, 10, 1);
    HOLDS(CALL(learn, &state, &result) == TT_OK);
    HOLDS(result.verdict == TT_NORMAL && result.learned == 1);

    small_anomaly_reset(&state);
    warm_up();

    /* A file made by hand: every byte of what is normal at its largest, its CRC right. */
    save(&state, &saved);
    memset(&state.anomaly, 0xff, sizeof state.anomaly);
    memset(&state.anomaly_scores, 0xff, sizeof state.anomaly_scores);
#ifndef OF_ERROR
    memset(&state.anomaly_mean, 0xff, sizeof state.anomaly_mean);
#endif
    put_sample(&state, 11, 0);
    const tt_status status = CALL(watch, &state, &result);
#ifdef OF_ERROR
    HOLDS(status == TT_OK && result.verdict == TT_ANOMALOUS);
    put_sample(&state, 12, 0);
    target[0] = 1e38f * 1e38f;
    HOLDS(CALL(watch, &state, &result) == TT_ERROR_TARGET);
#else
    HOLDS(status == TT_ERROR_LOSS && !result.learned); /* a mean that is NaN */
#endif
    small_anomaly_reset(&state);
    warm_up();
    puts("ok");
    return 0;
}
