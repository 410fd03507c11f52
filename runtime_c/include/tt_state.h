/* The state of a model as a whole: factory reset, save, load, check. tt_saved_file.h describes the
 * file. */
#ifndef TT_STATE_H
#define TT_STATE_H

#include "tinytrain.h"
#include "tt_kernels.h"
#include "tt_saved_file.h"

/* One trained tensor, or a part of the replay buffer: where it lies in the state, and its factory
 * value (NULL: zeros). */
typedef struct {
    size_t offset;
    uint32_t size : 31;
    uint32_t is_bias : 1; /* s32 values that kernels need within +-2^30; a load clamps them */
    const void *initial;
} tt_region;

/* Of a member of a model's state: its bytes, and the region that it takes. */
#define TT_SIZE_OF(state, member) sizeof(((state *)0)->member)
#define TT_REGION(state, member, is_bias, initial) \
    {offsetof(state, member), TT_SIZE_OF(state, member), is_bias, initial}

/* Describes a model's state to the functions below. `step` is the first member of every state. */
typedef struct {
    const tt_region *regions;
    size_t region_count;
    size_t scales_offset;
    const tt_saved_scale *initial_scales;
    size_t scale_count;
    float rate;
    uint32_t seed;
    uint32_t weights_size;
    uint8_t hash[32];
} tt_model;

/* Sets everything but the arena to its factory value. */
void tt_state_init(const tt_model *model, void *state);

/* TT_ERROR_IO if `write` fails; the state is not changed in any case. */
tt_status tt_state_save(const tt_model *model, const void *state, tt_write_fn write, void *context);

/* Reads a file to its end without changing anything: TT_OK if tt_state_load would take it. */
tt_status tt_state_check(const tt_model *model, tt_read_fn read, void *context);

/* The header is checked before the state changes. The payload goes straight into the state, as
 * there is no room for a second copy: where it turns out damaged or incomplete, the state is reset
 * to factory and the error returned. */
tt_status tt_state_load(const tt_model *model, void *state, tt_read_fn read, void *context);

#endif
