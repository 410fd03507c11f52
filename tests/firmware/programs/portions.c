/* A step in portions as an application uses it; prints `ok`, anything else is a failure. Two states
 * of one model: `whole` trains in one go, `state` in portions of all sizes. */
#include <stdlib.h>
#include <string.h>

#include "holds.h"
#include "memory_file.h"
#include "small_samples.h"

#ifndef WINDOW
#define WINDOW 1U /* steps of an accumulation window */
#endif
#ifndef APPLIED
#define APPLIED 0U /* portions that only the last step of a window has */
#endif

static small_state state, whole, before;
static memory_file file, second;

/* What a saved file holds. */
static int are_equal(const small_state *a, const small_state *b)
{
    file.size = second.size = 0;
    HOLDS(small_save(a, write_file, &file) == TT_OK);
    HOLDS(small_save(b, write_file, &second) == TT_OK);
    return file.size == second.size && memcmp(file.bytes, second.bytes, file.size) == 0;
}

/* Budgets from a single portion to all of them. */
static void any_cut_gives_the_same(uint32_t steps)
{
    for (uint32_t step = 0; step < steps; step++) {
        const int32_t label = (int32_t)draw(SMALL_CLASSES);
        tt_result found = {0}, wanted = {0};
        uint32_t calls = 0, progress = 0;
        tt_status status;
        const uint32_t most = 1U << draw(24);
        fill(&state, step);
        fill(&whole, step);
        HOLDS(small_train_step(&whole, label, &wanted) == TT_OK);
        HOLDS(small_step_begin(&state, label, &found) == TT_OK);
        do {
            HOLDS(small_step_progress(&state) >= progress && small_step_progress(&state) < 256);
            progress = small_step_progress(&state);
            status = small_step_run(&state, draw(most));
            calls++;
        } while (status == TT_MORE);
        HOLDS(status == TT_OK && small_step_progress(&state) == 256);
        HOLDS(calls <= SMALL_PORTIONS);
        HOLDS(memcmp(&found, &wanted, sizeof found) == 0 && are_equal(&state, &whole));
    }
}

static void each_call_is_a_portion_at_least(void)
{
    uint32_t calls = 1;
    fill(&state, 7);
    HOLDS(small_step_begin(&state, 0, NULL) == TT_OK);
    for (; small_step_run(&state, 0) == TT_MORE; calls++) {
    }
    /* A step within an accumulation window applies nothing. */
    HOLDS(state.step.count % WINDOW == 0 ? calls == SMALL_PORTIONS : calls < SMALL_PORTIONS);
    HOLDS(small_step_begin(&state, 0, NULL) == TT_OK);
    HOLDS(small_step_run(&state, UINT32_MAX) == TT_OK);
}

/* Nothing but a step's own functions touches it. */
static void others_are_refused(void)
{
    float output[SMALL_OUTPUT_SIZE];
    tt_result result;
    HOLDS(small_step_run(&state, 1) == TT_ERROR_STEP);
    HOLDS(small_step_cancel(&state) == TT_ERROR_STEP);
    HOLDS(small_step_begin(&state, SMALL_CLASSES, NULL) == TT_ERROR_LABEL);
    HOLDS(small_step_begin(&state, -1, NULL) == TT_ERROR_LABEL);
    HOLDS(small_step_progress(&state) == 256);
    file.size = 0;
    HOLDS(small_save(&state, write_file, &file) == TT_OK);
    HOLDS(small_step_begin(&state, 1, NULL) == TT_OK);
    for (tt_status status = TT_MORE; status == TT_MORE;) {
        memcpy(&before, &state, sizeof state);
        const float rate = small_learning_rate(&state);
        HOLDS(small_step_begin(&state, 1, NULL) == TT_ERROR_STEP);
        HOLDS(small_train_step(&state, 1, NULL) == TT_ERROR_STEP);
        HOLDS(small_infer(&state, output, NULL) == TT_ERROR_STEP);
        HOLDS(small_evaluate(&state, 1, &result) == TT_ERROR_STEP);
        HOLDS(small_set_learning_rate(&state, 0.5f) == TT_ERROR_STEP);
        HOLDS(small_save(&state, write_file, &second) == TT_ERROR_STEP);
        HOLDS(small_load(&state, read_file, &file) == TT_ERROR_STEP);
        HOLDS(small_load_old(&state, read_file, &file) == TT_ERROR_STEP);
        HOLDS(memcmp(&before, &state, sizeof state) == 0);
        HOLDS(rate >= 0.0f);
        status = small_step_run(&state, 0);
        HOLDS(status == TT_MORE || status == TT_OK);
    }
}

/* Wherever a step is cancelled, training goes on; before its first update nothing has changed. */
static void a_cancelled_step(void)
{
    int partly = 0;
    for (uint32_t at = 0; at < SMALL_PORTIONS - APPLIED; at++) {
        memcpy(&before, &state, sizeof state);
        fill(&state, at);
        HOLDS(small_step_begin(&state, 2, NULL) == TT_OK);
        for (uint32_t done = 0; done < at; done++) {
            HOLDS(small_step_run(&state, 0) == TT_MORE);
        }
        const tt_status status = small_step_cancel(&state);
        HOLDS(status == TT_OK || status == TT_PARTLY);
        HOLDS(status == TT_PARTLY || !partly);
        partly |= status == TT_PARTLY;
        HOLDS(state.step.count == before.step.count);
        HOLDS(state.step.rate == before.step.rate);
        if (!partly) {
            HOLDS(are_equal(&state, &before));
        }
        /* What is there can be trained and saved, and is the same after a load. */
        memcpy(&whole, &state, sizeof state);
        file.size = 0;
        HOLDS(small_save(&state, write_file, &file) == TT_OK);
        small_init(&whole);
        HOLDS(small_load(&whole, read_file, &file) == TT_OK);
        any_cut_gives_the_same(1);
    }
    HOLDS(partly);
}

/* A sample that is written while a step runs ends it, and so does init. */
static void a_sample_or_init_ends_it(void)
{
    static float x[SMALL_INPUT_SIZE];
    HOLDS(small_step_begin(&state, 1, NULL) == TT_OK);
    HOLDS(small_step_run(&state, 0) == TT_MORE);
    small_quantize_input(&state, x);
    HOLDS(small_step_run(&state, 0) == TT_ERROR_STEP);
    HOLDS(small_train_step(&state, 1, NULL) == TT_OK);
    HOLDS(small_step_begin(&state, 1, NULL) == TT_OK);
    HOLDS(small_step_run(&state, 0) == TT_MORE);
    small_init(&state);
    HOLDS(small_step_run(&state, 0) == TT_ERROR_STEP);
    small_init(&whole);
    HOLDS(are_equal(&state, &whole));
}

int main(void)
{
    memset(&state, 0xa5, sizeof state);
    memset(&whole, 0x5a, sizeof whole);
    small_init(&state);
    small_init(&whole);
    any_cut_gives_the_same(40);
    each_call_is_a_portion_at_least();
    others_are_refused();
    a_cancelled_step();
    a_sample_or_init_ends_it();
    puts("ok");
    return 0;
}
