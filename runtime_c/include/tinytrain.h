/* tinytrain: types that every generated model shares. The functions of a model, NAME_..., are
 * declared in the header NAME.h, which comes with it.
 *
 * Nothing here allocates memory, waits, or disables interrupts. No function may run on one object
 * from two contexts at once, such as an interrupt and the main loop. */
#ifndef TINYTRAIN_H
#define TINYTRAIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TINYTRAIN_RUNTIME_VERSION 2

/* What a function returns. "The state" is the NAME_state that it was given. */
typedef enum {
    TT_OK = 0,
    /* The label is not in [0, NAME_CLASSES). The state did not change. */
    TT_ERROR_LABEL,
    /* A target is NaN or infinite, or of several labels outside [0, 1]. The state did not change.
     */
    TT_ERROR_TARGET,
    /* The learning rate is negative, above NAME_RATE_LIMIT, NaN or infinite. The old rate stays. */
    TT_ERROR_RATE,
    /* A callback returned a failure. NAME_load: the state did not change. Every other function:
     * nothing was trained; the slot of the replay buffer that was being written may be damaged. */
    TT_ERROR_IO,
    /* Not a saved file, or one of another format version. The state did not change. */
    TT_ERROR_FORMAT,
    /* A saved file of another model. The state did not change. */
    TT_ERROR_MODEL,
    /* NAME_load, NAME_check: the saved file is damaged, and the state did not change.
     * NAME_replay_step: the slot is damaged, and nothing was trained. */
    TT_ERROR_CRC,
    /* The loss is NaN or infinite. The step was skipped: no weight, scale or step count changed. */
    TT_ERROR_LOSS,
    /* No slot of the replay buffer holds a sample. The state did not change. */
    TT_ERROR_EMPTY,
    /* Where a sample is fed row by row: it is not complete, and the state did not change; or more
     * rows were fed than it has, of which the first ones were taken. */
    TT_ERROR_ROWS,
    /* The guard has stopped learning, or could not yet bring back the state that it saved. The step
     * trained nothing; loss and prediction are told. What remembers a sample beside the step has
     * done so. */
    TT_ERROR_STOPPED,
    /* NAME_load: a saved file was good when it was checked, and could not be read again while it
     * was taken. The state is back at its factory values. */
    TT_ERROR_RESET,
    /* tt_store_commit: what was written is larger than a slot. The commit before it stays. */
    TT_ERROR_SPACE,
    /* NAME_self_test: this board, compiler or its flags compute something else than the compiler of
     * the model did. The state is at its factory values. */
    TT_ERROR_SELF_TEST,
    /* tt_signed_open, tt_signed_close: the file has no tag, or one that is not of its bytes and the
     * key. Nothing was loaded. */
    TT_ERROR_SIGNATURE,
    /* tt_signed_open: the file is authentic, and its counter is below the least that is accepted.
     * Nothing was loaded. */
    TT_ERROR_OLD,
    /* NAME_init was not called on the state, or the state does not lie at a multiple of
     * TT_STATE_ALIGNMENT bytes, so that NAME_init could do nothing with it. Nothing was done. */
    TT_ERROR_STATE,
    /* NAME_step_run, NAME_step_cancel: no step is in progress. Every other function: one is, and
     * nothing was done. */
    TT_ERROR_STEP,
    /* NAME_step_run, no error: portions of the step are left. */
    TT_MORE,
    /* NAME_step_cancel, no error: some of what trains had been updated, and stays so. */
    TT_PARTLY
} tt_status;

/* Bytes: what a NAME_state that is carved out of other memory has to be aligned to. A variable is.
 */
#define TT_STATE_ALIGNMENT 8

/* One sample, as the model saw it before it learned from it. */
typedef struct {
    float loss;         /* of the sample; a cross-entropy is in nats */
    int32_t prediction; /* index of the largest output, the first of equals; of one logit its sign
                         */
} tt_result;

/* Accuracy and mean loss over samples, of an evaluation or of training. The caller owns it. Once
 * `count` has reached 2^32 - 1, the next sample first halves both counts, which keeps their ratio.
 */
typedef struct {
    uint32_t count;   /* samples so far */
    uint32_t correct; /* samples whose prediction was their label */
    float loss;       /* mean loss; NaN or infinite from the first such loss on */
} tt_metrics;

/* Forgets all samples. Call it before the first one. */
void tt_metrics_reset(tt_metrics *metrics);

/* Adds a sample. result: of NAME_evaluate or NAME_train_step. label: the sample's; -1 for a
 * regression, which has no correct samples. */
void tt_metrics_add(tt_metrics *metrics, const tt_result *result, int32_t label);

/* correct / count, from 0 to 1; 0 before the first sample. */
float tt_metrics_accuracy(const tt_metrics *metrics);

/* The mean accuracy of the classes that have samples, 0 to 1; 0 before the first. of_classes:
 * metrics of each class, to which the samples with its label were added. */
float tt_metrics_balanced_accuracy(const tt_metrics *of_classes, uint32_t classes);

/* Decides after each evaluation whether to go on training. The caller owns it, and may save it
 * beside the model's state to go on after a reset. */
typedef struct {
    float best;      /* highest score so far */
    float min_delta; /* a score counts as better if it is higher than best by more than this */
    uint16_t patience;
    uint16_t waited; /* evaluations since the best one; stays at 65,535 */
} tt_early_stop;

typedef enum {
    TT_WAITING = 0, /* not better than the best: go on training */
    TT_IMPROVED,    /* the best so far: save the state now */
    TT_STOP         /* `patience` evaluations in a row were not better: stop, and load that state */
} tt_verdict;

/* Forgets all scores. min_delta: at least 0. patience: evaluations; with 0 it never says stop. */
void tt_early_stop_reset(tt_early_stop *stop, float min_delta, uint16_t patience);

/* Adds the score of an evaluation: higher is better, as with an accuracy or a negated loss. NaN and
 * infinity count as not better. */
tt_verdict tt_early_stop_add(tt_early_stop *stop, float score);

/* Health counters, since NAME_init or NAME_health_reset. docs/training.md says how to read them. No
 * counter wraps around: it stays at its largest value, or is halved as described.
 *
 * For the gradient of one tensor; each member counts training steps: */
typedef struct {
    uint32_t saturated; /* steps in which at least one element exceeded its range and was clipped */
    uint16_t rises;     /* steps that raised the exponent of its scale */
    uint16_t falls;     /* steps that lowered it */
} tt_gradient_health;

/* For the updates of one trained tensor, counted in every 64th step. Once `seen` has reached 2^31,
 * the next such step first halves both, which keeps their ratio. */
typedef struct {
    uint32_t seen; /* elements whose gradient was not 0 */
    uint32_t lost; /* of these, elements whose update was rounded to 0 */
} tt_update_health;

/* For the inputs that NAME_quantize_input and NAME_feed_real_rows have quantized. Once `seen` has
 * reached 2^31, the next call first halves both, which keeps their ratio. */
typedef struct {
    uint32_t seen;    /* elements */
    uint32_t clipped; /* of these, elements outside the range of the model's input, or NaN */
} tt_input_health;

/* For a whole model. Its header has the number of gradients and of trained tensors, NAME_GRADIENTS
 * and NAME_UPDATES, and their names. */
typedef struct {
    uint32_t steps;   /* training steps, skipped ones included */
    uint32_t skipped; /* steps that changed nothing because the loss was NaN or infinite */
    /* These point into the state and are valid as long as it is. */
    const tt_gradient_health *gradients; /* [NAME_GRADIENTS]; NULL if the model has none */
    const tt_update_health *updates;     /* [NAME_UPDATES] */
    tt_input_health input;
} tt_health;

/* For one class, in training steps, replayed ones too. Once the labels of all classes have reached
 * a window, the larger of 256 and 32 a class, the next step first halves the first three of all. */
typedef struct {
    uint16_t labels;      /* steps on samples with its label */
    uint16_t right;       /* of these, steps that predicted it before the update */
    uint16_t predictions; /* steps that predicted it */
    uint16_t since;       /* steps since its label came last, or the reset; stays at 65,535 */
} tt_class_counts;

/* For all classes of a model; see NAME_class_health. */
typedef struct {
    uint32_t steps;        /* labels of all classes */
    uint32_t absent_after; /* steps without its label after which a class fades, at the rate now */
    uint32_t class_count;
    const tt_class_counts *classes; /* [class_count], in the state: valid as long as it is */
} tt_class_health;

typedef enum {
    TT_CLASS_WELL = 0,
    TT_CLASS_ABSENT, /* its label has not come for so long that what the model knew of it fades */
    TT_CLASS_FADING  /* its label comes, and less than a quarter as often it is predicted */
} tt_class_trend;

/* What to think of a class, 0 <= label < class_count. docs/training.md has the criteria. */
tt_class_trend tt_class_trend_of(const tt_class_health *health, uint32_t label);

/* Callbacks that store and fetch a saved file in several calls. It is written from its beginning to
 * its end, and read twice: `offset` counts bytes from its beginning. context: what was passed to
 * the function that calls back. Move exactly `size` bytes and return 0, or return anything else:
 * the function then returns TT_ERROR_IO. tt_store.h has both, for flash. */
typedef int (*tt_write_fn)(void *context, const void *data, size_t size);
typedef int (*tt_read_fn)(void *context, size_t offset, void *data, size_t size);

/* The same for a slot of a replay buffer that the application stores, for instance in flash. slot:
 * 0 to NAME_REPLAY_SLOTS - 1. offset: bytes from the beginning of the slot. A slot is written and
 * read from its beginning to its end without gaps; erase it when offset is 0. */
typedef int (*tt_write_slot_fn)(void *context, uint32_t slot, size_t offset, const void *data,
                                size_t size);
typedef int (*tt_read_slot_fn)(void *context, uint32_t slot, size_t offset, void *data,
                               size_t size);

#ifdef __cplusplus
}
#endif

#endif
