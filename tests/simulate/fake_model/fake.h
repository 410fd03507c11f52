/* A hand-made linear model with the interface of a compiled one. The tests fill in the number of
 * classes; 0 makes it a regression. */
#ifndef FAKE_H
#define FAKE_H

#include "tinytrain.h"

#define FAKE_CLASSES CLASS_COUNT
#define FAKE_INPUT_SIZE 40
#define FAKE_OUTPUT_SIZE 20

typedef struct {
    int8_t input[FAKE_INPUT_SIZE];
    int32_t weights[FAKE_OUTPUT_SIZE][FAKE_INPUT_SIZE];
    int32_t rate; /* in units of 1 / 256 */
    int32_t output[FAKE_OUTPUT_SIZE];
} fake_state;

void fake_init(fake_state *state);
int8_t *fake_input(fake_state *state);
tt_status fake_infer(fake_state *state, float *output, int32_t *prediction);
#if FAKE_CLASSES
tt_status fake_evaluate(fake_state *state, int32_t label, tt_result *result);
tt_status fake_train_step(fake_state *state, int32_t label, tt_result *result);
#else
tt_status fake_evaluate(fake_state *state, const float *target, tt_result *result);
tt_status fake_train_step(fake_state *state, const float *target, tt_result *result);
#endif
tt_status fake_set_learning_rate(fake_state *state, float rate);
tt_status fake_save(const fake_state *state, tt_write_fn write, void *context);
tt_status fake_load(fake_state *state, tt_read_fn read, void *context);

#endif
