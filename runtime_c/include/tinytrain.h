/* tinytrain: types that every generated model shares. The functions of a model are in its own
 * header. */
#ifndef TINYTRAIN_H
#define TINYTRAIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TINYTRAIN_RUNTIME_VERSION 1

typedef enum {
    TT_OK = 0,
    TT_ERROR_LABEL,  /* the label is not in [0, classes); nothing changed */
    TT_ERROR_TARGET, /* a target is NaN or infinite; nothing changed */
    TT_ERROR_RATE, /* the learning rate is negative, NaN, infinite or above 1024; nothing changed */
    TT_ERROR_IO,   /* a callback failed; a load that got past the header reset the state to factory,
                      anything else changed nothing */
    TT_ERROR_FORMAT, /* not a parameter file, or of another format version; nothing changed */
    TT_ERROR_MODEL,  /* a parameter file of another model; nothing changed */
    TT_ERROR_CRC,  /* the file is damaged; the state was reset to factory. A replay slot is; nothing
                      was trained */
    TT_ERROR_LOSS, /* the loss is NaN or infinite; the step was skipped: no weight, scale or count
                      changed */
    TT_ERROR_EMPTY, /* no replay slot holds a sample; nothing changed */
    TT_ERROR_ROWS   /* the sample lacks rows, and nothing changed; or too many rows were fed */
} tt_status;

/* What a training step saw before it changed anything. */
typedef struct {
    float loss;
    int32_t prediction; /* index of the largest output; the first of equals */
} tt_result;

/* Running accuracy and loss of an evaluation, or of training: 12 bytes, the caller's. */
typedef struct {
    uint32_t count;   /* samples */
    uint32_t correct; /* of them, whose prediction was their label */
    float loss;       /* mean; NaN or infinite once a loss was */
} tt_metrics;

void tt_metrics_reset(tt_metrics *metrics);

/* One more sample, with what NAME_evaluate or NAME_train_step told of it. label: -1 for a
 * regression. */
void tt_metrics_add(tt_metrics *metrics, const tt_result *result, int32_t label);

/* correct / count, 0 to 1; 0 before the first sample. */
float tt_metrics_accuracy(const tt_metrics *metrics);

/* Early stop: 12 bytes, the caller's. Keep them with the saved state where training is to go on
 * after a reset. */
typedef struct {
    float best;
    float min_delta;
    uint16_t patience;
    uint16_t waited;
} tt_early_stop;

typedef enum {
    TT_WAITING = 0, /* no better than before: train on */
    TT_IMPROVED,    /* the best so far: a good time to save the state */
    TT_STOP /* `patience` evaluations in a row were no better: stop, and load what was saved */
} tt_verdict;

/* min_delta, at least 0: by how much a score has to be better to count. patience: evaluations; 0
 * never stops. */
void tt_early_stop_reset(tt_early_stop *stop, float min_delta, uint16_t patience);

/* After each evaluation. score: larger is better, such as an accuracy, or minus a loss. A NaN is no
 * better than anything. */
tt_verdict tt_early_stop_add(tt_early_stop *stop, float score);

/* Health counters since init or a reset; none wraps. docs/training.md says what to make of them.
 *
 * Of the gradient of one tensor, in steps: */
typedef struct {
    uint32_t saturated; /* some element was beyond what its scale holds, and was cut there */
    uint16_t rises;     /* its exponent rose, */
    uint16_t falls;     /* or fell; both stay at 65,535 */
} tt_gradient_health;

/* Of the updates of one trained tensor, in steps whose number (t) is a multiple of 64: */
typedef struct {
    uint32_t seen; /* elements with a gradient other than 0; from 2^31 on, a step halves both
                      counters first */
    uint32_t lost; /* of these, elements whose update was rounded to 0 */
} tt_update_health;

/* Of a whole model; its header says how many gradients and trained tensors there are, and their
 * names. */
typedef struct {
    uint32_t steps;   /* of training, skipped ones too; stays at 2^32 - 1 */
    uint32_t skipped; /* those that changed nothing, as the loss was NaN or infinite; likewise */
    /* Into the state, as the next; NULL where there are none. */
    const tt_gradient_health *gradients;
    const tt_update_health *updates;
} tt_health;

/* Move `size` bytes; return 0 when all went through, anything else on failure. */
typedef int (*tt_write_fn)(void *context, const void *data, size_t size);
typedef int (*tt_read_fn)(void *context, void *data, size_t size);

/* The same for `size` bytes at `offset` of a replay slot that lies outside of the state. A slot is
 * written, and read, from its beginning to its end, in several pieces without gaps: erase it where
 * offset is 0. */
typedef int (*tt_write_slot_fn)(void *context, uint32_t slot, size_t offset, const void *data,
                                size_t size);
typedef int (*tt_read_slot_fn)(void *context, uint32_t slot, size_t offset, void *data,
                               size_t size);

#ifdef __cplusplus
}
#endif

#endif
