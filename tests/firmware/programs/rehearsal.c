/* A rehearsal set as an application uses it, in a model without frozen layers, whose slots hold
 * inputs: a step on a slot is a step on its sample; prints `ok`, anything else is a failure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "holds.h"
#include "memory_file.h"
#include "small.h"
#include "small_constants.h"

enum { GROUPS = sizeof small_rehearsal_labels / sizeof small_rehearsal_labels[0] };

static small_state state, other, before;
static memory_file file, second;

/* The arena is nobody's between two calls. */
static int are_equal(const small_state *a, const small_state *b)
{
    return memcmp(a, b, offsetof(small_state, arena)) == 0;
}

static void steps_are_steps_on_samples(void)
{
    const tt_rehearsal set = {small_rehearsal_first, GROUPS};
    for (uint32_t number = 0; number < 2 * SMALL_REHEARSAL_SLOTS; number++) {
        const tt_rehearsal_choice choice = tt_rehearsal_choose(&set, state.step.seed, number);
        tt_result found, wanted;
        HOLDS(choice.slot < SMALL_REHEARSAL_SLOTS && state.rehearsed[0] == number);
        HOLDS(small_rehearse_step(&state, &found) == TT_OK);
        memcpy(small_input(&other),
               small_rehearsal_samples + choice.slot * sizeof(int8_t[SMALL_INPUT_SIZE]),
               SMALL_INPUT_SIZE);
        HOLDS(small_train_step(&other, small_rehearsal_labels[choice.group], &wanted) == TT_OK);
        HOLDS(found.loss == wanted.loss && found.prediction == wanted.prediction);
        other.rehearsed[0] = state.rehearsed[0];
        HOLDS(are_equal(&state, &other));
    }
}

static void an_evaluation_changes_nothing(void)
{
    float recall[SMALL_CLASSES];
    tt_metrics whole, again;
    uint32_t right = 0;
    memcpy(&before, &state, sizeof state);
    HOLDS(small_evaluate_rehearsal(&state, &whole, recall) == TT_OK);
    HOLDS(small_evaluate_rehearsal(&state, &again, NULL) == TT_OK);
    HOLDS(are_equal(&state, &before) && memcmp(&whole, &again, sizeof whole) == 0);
    HOLDS(whole.count == SMALL_REHEARSAL_SLOTS);
    for (uint32_t group = 0; group < GROUPS; group++) {
        const int32_t label = small_rehearsal_labels[group];
        uint32_t of_class = 0;
        for (uint32_t slot = small_rehearsal_first[group]; slot < small_rehearsal_first[group + 1];
             slot++) {
            tt_result result;
            memcpy(small_input(&other), small_rehearsal_samples + slot * SMALL_INPUT_SIZE,
                   SMALL_INPUT_SIZE);
            HOLDS(small_evaluate(&other, label, &result) == TT_OK);
            of_class += result.prediction == label;
        }
        const uint32_t count = small_rehearsal_first[group + 1] - small_rehearsal_first[group];
        HOLDS(recall[label] == (float)of_class / (float)count);
        right += of_class;
    }
    HOLDS(right == whole.correct);
    HOLDS(recall[SMALL_CLASSES - 1] == -1.0f); /* the set lacks the last class */
}

int main(void)
{
    memset(&state, 0xa5, sizeof state);
    memset(&other, 0xa5, sizeof other);
    small_init(&state);
    small_init(&other);
    steps_are_steps_on_samples();
    an_evaluation_changes_nothing();

    /* After a reset it goes on where the file was saved. */
    HOLDS(small_save(&state, write_file, &file) == TT_OK);
    small_init(&other);
    HOLDS(other.rehearsed[0] == 0);
    HOLDS(small_load(&other, read_file, &file) == TT_OK);
    for (int i = 0; i < SMALL_REHEARSAL_SLOTS; i++) {
        HOLDS(small_rehearse_step(&state, NULL) == TT_OK);
        HOLDS(small_rehearse_step(&other, NULL) == TT_OK);
    }
    HOLDS(memcmp(state.rehearsed, other.rehearsed, sizeof state.rehearsed) == 0);
    file.size = 0;
    HOLDS(small_save(&state, write_file, &file) == TT_OK);
    HOLDS(small_save(&other, write_file, &second) == TT_OK);
    HOLDS(files_equal(&file, &second));

    /* The count wraps around. */
    state.rehearsed[0] = UINT32_MAX;
    HOLDS(small_rehearse_step(&state, NULL) == TT_OK && state.rehearsed[0] == 0);
    printf("ok\n");
    return 0;
}
