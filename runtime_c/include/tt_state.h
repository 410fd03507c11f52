/* The state of a model as a whole: factory values, save, load, check. Generated code calls this; an
 * application calls NAME_init, NAME_save, NAME_load and NAME_check. tt_saved_file.h describes the
 * file. */
#ifndef TT_STATE_H
#define TT_STATE_H

#include "tinytrain.h"
#include "tt_kernels.h"
#include "tt_saved_file.h"

/* Bytes of the state that a saved file holds: one trained tensor, or a part of the replay buffer.
 */
typedef struct {
    size_t offset; /* in the state */
    uint32_t size : 31;
    uint32_t is_bias : 1; /* s32 values, which a load clamps to +-2^30 as kernels require */
    const void *initial;  /* factory value, `size` bytes; NULL: zeros */
} tt_region;

/* Of a member of a model's state: its bytes, and the region that it takes. */
#define TT_SIZE_OF(state, member) sizeof(((state *)0)->member)
#define TT_REGION(state, member, is_bias, initial) \
    {offsetof(state, member), TT_SIZE_OF(state, member), is_bias, initial}

/* Describes a model's state to the functions below. The first member of every state is its
 * tt_step. */
typedef struct {
    const tt_region *regions; /* in the order of the saved file, trained tensors first */
    size_t region_count;
    size_t scales_offset; /* of tt_scale[scale_count] in the state */
    const tt_saved_scale *initial_scales;
    size_t scale_count;
    float rate;            /* learning rate that training starts with */
    float rate_limit;      /* the largest; a saved rate above it becomes it */
    uint32_t seed;         /* of random numbers */
    uint32_t weights_size; /* bytes of the trained tensors */
    uint8_t hash[32];      /* of the model: SHA-256 */
} tt_model;

/* Sets all of the state to its factory values, except the arena, which needs none. */
void tt_state_init(const tt_model *model, void *state);

/* Writes a saved file. The state does not change. TT_ERROR_IO: `write` failed; what was written is
 * not a whole file. */
tt_status tt_state_save(const tt_model *model, const void *state, tt_write_fn write, void *context);

/* Reads a saved file to its end and changes nothing. Returns what tt_state_load would return. */
tt_status tt_state_check(const tt_model *model, tt_read_fn read, void *context);

/* Reads a saved file into a state that tt_state_init has set up: once to check it, and once more to
 * take it. TT_ERROR_RESET: the second time it was not what it was the first time, or could not be
 * read, and the state is back at its factory values. After any other error it did not change. */
tt_status tt_state_load(const tt_model *model, void *state, tt_read_fn read, void *context);

#endif
