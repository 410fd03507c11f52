/* A training step in portions (docs/portions.md). Generated code calls this; an application calls
 * NAME_step_begin and the like, NAME_step_run, NAME_step_progress and NAME_step_cancel.
 *
 * A node of a step runs whole or in parts. A part is a range of positions, rows, elements or
 * channels, for which the node's own kernel is called.
 */
#ifndef TT_PORTIONS_H
#define TT_PORTIONS_H

#include "tt_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A node of a step: how many parts it has, at least 1, and the instructions of the largest one,
 * estimated. */
typedef struct {
    uint32_t instructions;
    uint16_t parts;
} tt_node_parts;

/* What a step is on. */
typedef enum {
    TT_SAMPLE_NEW,        /* the sample in the input */
    TT_SAMPLE_REMEMBERED, /* the same, which is offered to the replay buffer */
    TT_SAMPLE_REPLAYED,   /* one of the replay buffer */
    TT_SAMPLE_REHEARSED   /* one of the rehearsal set */
} tt_step_sample;

/* How far a step is. */
typedef struct {
    uint16_t node; /* that runs next */
    uint16_t part; /* of it */
    uint8_t is_running;
    uint8_t is_active;  /* whether its loss has a gradient */
    uint8_t is_changed; /* whether it has changed anything that is trained */
    uint32_t done;      /* estimated instructions so far */
    float rate;         /* before the step: a step may take another one */
    tt_result found;
    tt_result *result; /* the caller's, or NULL */
} tt_step_place;

/* The part that was next has run. */
void tt_step_advance(tt_step_place *place, const tt_node_parts *nodes);

/* How much of a step is done, in 256ths; 256 where none is in progress. per_256th: instructions of
 * a 256th, at least 1. */
uint32_t tt_step_share(const tt_step_place *place, uint32_t per_256th);

/* A range of positions, rows, elements or channels. */
typedef struct {
    size_t first, count;
} tt_slice;

/* Part `part` of `extent`, in parts of `size` of which the last may be smaller; part * size is
 * below extent. */
tt_slice tt_slice_of(size_t part, size_t size, size_t extent);

/* The window of some positions of a 1x1 window with stride 1 and no padding: a map of one row. */
tt_window tt_part_positions(const tt_window *whole, tt_slice positions);

/* The window of some rows of the output: that of a smaller map, padded at the top only where it is
 * the top of the whole map. *skip gets the row of the input that it begins with. At least one row
 * of the input is in it. */
tt_window tt_part_rows(const tt_window *whole, tt_slice rows, size_t *skip);

/* The same for rows of an input gradient, whose window slides over them. *skip gets the row of the
 * output's gradient that it begins with. */
tt_window tt_part_grad_rows(const tt_window *whole, tt_slice rows, size_t *skip);

#ifdef __cplusplus
}
#endif

#endif
