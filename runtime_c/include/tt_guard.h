/* A guard: learning that makes a model worse is stopped, and undone. Generated code calls most of
 * this; an application calls NAME_guard_is_due, NAME_guard_look, NAME_guard and NAME_guard_reset,
 * and may use tt_guard_in_memory.
 *
 * docs/arithmetic.md section 14 has the tests that decide, docs/training.md what they are for.
 */
#ifndef TT_GUARD_H
#define TT_GUARD_H

#include "tinytrain.h"
#include "tt_store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Why a guard goes back to the state that it saved last. */
typedef enum {
    TT_GUARD_NONE = 0,
    TT_GUARD_LOSS,   /* a loss was NaN or infinite */
    TT_GUARD_NORM,   /* the root mean square of the trained weights more than doubled */
    TT_GUARD_ENDS,   /* a quarter of a trained tensor came to the ends of its range */
    TT_GUARD_KEPT,   /* the samples kept apart are predicted worse than by the best state */
    TT_GUARD_CLASS,  /* those of one class are: it fades */
    TT_GUARD_STREAM, /* new samples are predicted worse than before, check after check */
    TT_GUARD_REASONS
} tt_guard_reason;

/* What a check did. */
typedef enum {
    TT_GUARD_WAITED = 0, /* nothing: neither good enough to save nor bad enough to undo */
    TT_GUARD_SAVED,      /* the state was saved */
    TT_GUARD_RESTORED,   /* the saved state is back, and the learning rate is halved */
    TT_GUARD_STOPPED     /* the same, and nothing is learned any more until NAME_guard_reset */
} tt_guard_action;

/* Of some samples. The error of a sample is the probability that the model gives to anything but
 * its label, 1 - exp(-loss), from 0 to 1; of a regression it is the loss. With label smoothing or
 * class weights the loss has them in it, and its error is no probability. */
typedef struct {
    float count;   /* how many */
    float sum;     /* sum of their errors */
    float squares; /* sum of the squares of these */
} tt_guard_sums;

/* All of it is saved with the state. All 0 is the factory value. */
typedef struct {
    tt_guard_sums kept;  /* samples kept apart, in this check */
    tt_guard_sums best;  /* the same in the best check so far */
    tt_guard_sums fresh; /* new samples since the last check, as they were before the step on them
                          */
    tt_guard_sums usual; /* new samples of earlier checks, those of long ago counting less */
    tt_guard_sums then;  /* `usual` as it was in the best check */
    tt_guard_sums first; /* `fresh` of the first check of those that `waited` counts */
    float norm;          /* mean square of the trained weights, as integers, when it was saved */
    uint32_t steps;      /* since the last check */
    uint32_t checks;     /* so far, as are the next two */
    uint32_t saves;      /* of the state */
    uint32_t restores;   /* of the state */
    uint32_t losses;     /* restores for TT_GUARD_LOSS; the next five are in the order of reasons */
    uint32_t norms;      /* for TT_GUARD_NORM */
    uint32_t ends;       /* for TT_GUARD_ENDS */
    uint32_t kepts;      /* for TT_GUARD_KEPT */
    uint32_t classes;    /* for TT_GUARD_CLASS */
    uint32_t streams;    /* for TT_GUARD_STREAM */
    uint16_t halvings;   /* of the learning rate: 0 to 7 */
    uint16_t waited;     /* checks in a row that neither saved nor restored */
    uint16_t passed;     /* checks in a row that saved, of 8 */
    uint16_t is_strict;  /* 1 from a restore to the next check that saves */
    uint16_t is_broken;  /* 1 after a loss that was NaN or infinite, until the next check */
    uint16_t is_again;   /* 1 where the step that begins is on a sample of before */
    uint16_t is_due;     /* the reason of a restore that has yet to be done, else 0 */
    uint16_t is_stopped; /* 1 once nothing is learned any more */
} tt_guard;

/* Of one class. */
typedef struct {
    tt_guard_sums kept; /* samples kept apart, in this check */
    tt_guard_sums best; /* the same in the best check so far */
    uint16_t came;      /* new samples since the last check; stays at 65,535 */
    uint16_t unused;    /* 0 */
} tt_guard_class;

/* Where the parts of a guard lie, and what the model measures for it. */
typedef struct {
    tt_guard *guard;
    tt_guard_class *classes; /* [class_count] */
    size_t class_count;      /* 0 where the target of a sample is no label */
    int is_share;            /* whether a loss is minus the logarithm of a probability */
    float norm;              /* mean square of the trained weights */
    int is_at_ends;          /* whether a quarter of a tensor came to the ends of its range */
} tt_guard_view;

/* Where the state is saved: callbacks as those of NAME_save and NAME_load, one that is called
 * before a file is written (is_write 1) or read (0), and one that is called once it is written;
 * NULL where nothing is left to do then. Each returns 0, or anything else on failure. */
typedef struct {
    int (*rewind)(void *context, int is_write);
    tt_write_fn write;
    tt_read_fn read;
    int (*commit)(void *context);
    void *context;
} tt_guard_store;

/* What a check found and did; of a guard as a whole, where its members say so. */
typedef struct {
    tt_guard_action action;
    tt_guard_reason reason; /* of the action; TT_GUARD_NONE if it did not undo anything */
    float kept;             /* mean error on the samples kept apart; 0 without any */
    float best;             /* the same of the best state */
    float stream;           /* mean error on the new samples since the last check; 0 without any */
    float factor;           /* on the learning rate, from now on: 1 to 1/128 */
    uint32_t checks;        /* so far */
    uint32_t saves;         /* so far */
    uint32_t restores;      /* so far */
    uint32_t reasons[TT_GUARD_REASONS]; /* how many of the restores had which reason */
    int is_unlike; /* 1 if since the last check new samples were predicted worse, beyond chance,
                      than the best state predicts those kept apart: they are of another world, or
                      their labels are wrong, or the rate is too large */
} tt_guard_report;

/* "none", "loss" and so on, in flash. */
extern const char *const tt_guard_reason_names[TT_GUARD_REASONS];

/* A store in RAM, which a reset forgets. bytes: NAME_SAVED_BYTES of them, which have to stay. */
typedef struct {
    uint8_t *bytes;
    size_t size;
    size_t at; /* 0 */
} tt_guard_memory;

/* A store in RAM. It is empty after a reset: where NAME_load brought a state back, save that into
 * it first, with NAME_save and its `write` behind a `rewind`. A restore from an empty store is
 * refused. */
tt_guard_store tt_guard_in_memory(tt_guard_memory *memory);

/* What survives a reset and a power cut: each state that the guard saves is a commit. store: open,
 * and has to stay. */
tt_guard_store tt_guard_in_flash(tt_store *store);

/* The rate of a step: rate / 2^halvings, which is exact but for subnormal numbers. */
float tt_guard_rate(const tt_guard *guard, float rate);

/* Whether a check is due: `interval` steps after the last one, at once before the first one, after
 * a loss that is not finite, and where a restore failed. */
int tt_guard_is_due(const tt_guard *guard, uint32_t interval);

/* A step: the sample's loss before it, and its label, or -1. A sample of before counts as a step
 * alone. Returns whether the step may go on. */
int tt_guard_step(const tt_guard_view *view, float loss, int32_t label);

/* The sum of the squares of `count` weights: below 2^14 each. */
uint64_t tt_sum_squares_s8(size_t count, const int8_t *x);

/* A sample kept apart: its label, or -1. */
void tt_guard_look(const tt_guard_view *view, float loss, int32_t label);

/* Decides after the samples kept apart, and begins the next check. Of the report it fills in the
 * action, the errors and is_unlike: the caller saves the state, or restores it where is_due says
 * why. */
void tt_guard_judge(const tt_guard_view *view, tt_guard_report *report);

/* Puts into the guard that came with a restored state what a restore does not undo. */
void tt_guard_carry(tt_guard *restored, const tt_guard *before);

/* Fills in what holds of the guard as a whole. */
void tt_guard_tell(const tt_guard *guard, tt_guard_report *report);

#ifdef __cplusplus
}
#endif

#endif
