/* An inference between any two portions of a step, on the state that trains; prints `ok`, anything
 * else is a failure. under_test.h includes the model and names it: MODEL in small letters, CAPITALS
 * in large ones; and how many STEPS there are. On a device it includes
 * the port, too, whose functions take the place of stdio's. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "under_test.h"
#ifdef ON_DEVICE
#define HOLDS(condition)                    \
    do {                                    \
        if (!(condition)) {                 \
            tt_port_print(#condition "\n"); \
            tt_port_exit(1);                \
        }                                   \
    } while (0)
#define SAY(text) tt_port_print(text "\n")
#else
#include <stdio.h>

#include "holds.h"
#include "memory_file.h"
#include "tt_saved_file.h"
#define SAY(text) puts(text)
#endif

#define JOINED(model, name) model##_##name
#define OF(model, name) JOINED(model, name)
#define FN(name) OF(MODEL, name)
#define NUMBER(name) OF(CAPITALS, name)

typedef OF(MODEL, state) model_state;

static model_state state, whole, before, copy;
static float sample[NUMBER(INPUT_SIZE)], other[NUMBER(INPUT_SIZE)];
static float wanted[NUMBER(OUTPUT_SIZE)], given[NUMBER(OUTPUT_SIZE)];
static uint32_t random_bits = 1, after_updates, in_between;

static uint32_t draw(uint32_t below)
{
    random_bits = random_bits * 1664525U + 1013904223U;
    return (random_bits >> 8) % below;
}

static void fill(float *x)
{
    for (size_t i = 0; i < NUMBER(INPUT_SIZE); i++) {
        x[i] = (float)draw(2001) / 250.0F - 4.0F;
    }
}

/* What `from` gives for the other sample, when its step is cancelled. */
static int32_t infer_on_a_copy(const model_state *from)
{
    int32_t prediction = -1;
    memcpy(&copy, from, sizeof copy);
    if (copy.portion.place.is_running) {
        (void)FN(step_cancel)(&copy);
    }
    FN(quantize_input)(&copy, other);
    HOLDS(FN(infer)(&copy, wanted, &prediction) == TT_OK);
    return prediction;
}

#ifndef ON_DEVICE
static memory_file old_weights, new_weights, weights;

static void save_copy_of(const model_state *from, memory_file *file)
{
    memcpy(&copy, from, sizeof copy);
    if (copy.portion.place.is_running) {
        (void)FN(step_cancel)(&copy);
    }
    file->size = 0;
    HOLDS(FN(save)(&copy, write_file, file) == TT_OK);
}

/* Each that inference reads is as before the step, or as the whole step leaves it: WEIGHTS has
 * offset and size of each tensor behind the header of a saved file. */
static void each_weight_is_old_or_new(void)
{
    static const size_t spans[][2] = {WEIGHTS};
    save_copy_of(&state, &weights);
    for (size_t k = 0; k < sizeof spans / sizeof spans[0]; k++) {
        const size_t first = sizeof(tt_saved_header) + spans[k][0];
        for (size_t i = first; i < first + spans[k][1]; i++) {
            const uint8_t now = weights.bytes[i];
            HOLDS(now == old_weights.bytes[i] || now == new_weights.bytes[i]);
        }
    }
}
#endif

static void infer_in_between(void)
{
    int32_t prediction = -1;
    fill(other);
    memcpy(&copy, &state, sizeof copy);
    FN(concurrent_quantize_input)(&state, other);
    HOLDS(FN(concurrent_infer)(&state, given, &prediction) == TT_OK);
    /* Nothing but its own arena has changed. */
    memcpy(&copy.concurrent, &state.concurrent, sizeof copy.concurrent);
    HOLDS(memcmp(&copy, &state, sizeof state) == 0);
    HOLDS(infer_on_a_copy(&state) == prediction && memcmp(wanted, given, sizeof given) == 0);
    in_between++;
    if (state.portion.place.is_changed) {
        after_updates++;
        return;
    }
    HOLDS(infer_on_a_copy(&before) == prediction && memcmp(wanted, given, sizeof given) == 0);
}

int main(void)
{
    float output[NUMBER(OUTPUT_SIZE)];
    memset(&state, 0, sizeof state);
    HOLDS(FN(concurrent_infer)(&state, output, NULL) == TT_ERROR_STATE);
    FN(init)(&state);
    FN(init)(&whole);
    for (uint32_t step = 0; step < STEPS; step++) {
        const int32_t label = (int32_t)draw(NUMBER(CLASSES));
        const uint32_t most = step == 0 ? 1U : 1U << draw(16);
        tt_result found = {0}, expected = {0};
        tt_status status;
        fill(sample);
        memcpy(&before, &state, sizeof before);
        FN(quantize_input)(&whole, sample);
        HOLDS(FN(train_step)(&whole, label, &expected) == TT_OK);
        FN(quantize_input)(&state, sample);
        HOLDS(FN(step_begin)(&state, label, &found) == TT_OK);
#ifndef ON_DEVICE
        save_copy_of(&before, &old_weights);
        save_copy_of(&whole, &new_weights);
#endif
        do {
            infer_in_between();
#ifndef ON_DEVICE
            each_weight_is_old_or_new();
#endif
            status = FN(step_run)(&state, draw(most));
        } while (status == TT_MORE);
        HOLDS(status == TT_OK);
        HOLDS(memcmp(&found, &expected, sizeof found) == 0);
        HOLDS(memcmp(&state, &whole, offsetof(model_state, portion)) == 0);
    }
    memcpy(&before, &state, sizeof before);
    infer_in_between(); /* no step is in progress */
    HOLDS(after_updates > 0 && in_between > NUMBER(PORTIONS));
    HOLDS(FN(concurrent_infer)(&state, NULL, NULL) == TT_OK);
    SAY("ok");
    return 0;
}
