/* The state of a model as a whole: factory values, save, load, check. Generated code calls this; an
 * application calls NAME_init, NAME_save, NAME_load and NAME_check. tt_saved_file.h describes the
 * file. */
#ifndef TT_STATE_H
#define TT_STATE_H

#include "tinytrain.h"
#include "tt_kernels.h"
#include "tt_saved_file.h"

/* Bytes of the state that a file holds: one trained tensor, or a part of what is beside it. */
typedef struct {
    size_t offset; /* in the state */
    uint32_t size : 30;
    uint32_t is_bias : 1;    /* s32 values, which a load clamps to +-2^30 as kernels require */
    uint32_t is_samples : 1; /* of the file of samples; 0: of that of what was learned */
    const void *initial;     /* factory value, `size` bytes; NULL: zeros */
} tt_region;

/* Of a member of a model's state: its bytes, and the region that it takes. */
#define TT_SIZE_OF(state, member) sizeof(((state *)0)->member)
#define TT_REGION(state, member, is_bias, initial) \
    {offsetof(state, member), TT_SIZE_OF(state, member), is_bias, 0, initial}
#define TT_SAMPLES(state, member) {offsetof(state, member), TT_SIZE_OF(state, member), 0, 1, NULL}

/* Describes a model's state to the functions below. The first member of every state is its
 * tt_step. */
typedef struct {
    const tt_region *regions; /* in the order of the files, trained tensors first */
    size_t region_count;
    size_t scales_offset; /* of tt_scale[scale_count] in the state */
    const tt_saved_scale *initial_scales;
    size_t scale_count;
    float rate;       /* learning rate that training starts with, over the accumulation window */
    float rate_limit; /* the largest; a rate above it becomes it when a file is loaded */
    uint32_t seed;    /* of random numbers */
    uint32_t weights_size; /* bytes of the trained tensors */
    uint8_t hash[32];      /* of the model: SHA-256 */
} tt_model;

/* Sets all of the state to its factory values, except the arena, which needs none. A state that
 * does not lie at a multiple of TT_STATE_ALIGNMENT stays as it never was: is_ready says so. */
void tt_state_init(const tt_model *model, void *state);

/* Whether tt_state_init has set up a state, of memory that was zero before. Every function below
 * returns TT_ERROR_STATE, and does nothing, where it has not. */
int tt_state_is_ready(const tt_step *step);

/* Overwrites bytes with zeros, which no compiler leaves out. */
void tt_state_wipe(void *state, size_t size);

/* Writes the file of what was learned. The state does not change. TT_ERROR_IO: `write` failed; what
 * was written is not a whole file. */
tt_status tt_state_save(const tt_model *model, const void *state, tt_write_fn write, void *context);

/* Reads such a file to its end and changes nothing. Returns what tt_state_load would return. */
tt_status tt_state_check(const tt_model *model, tt_read_fn read, void *context);

/* Reads such a file into a state that tt_state_init has set up: once to check it, and once more to
 * take it. Samples, and the seed, stay as they are. The rate stays where it is not the compiled
 * one; else it becomes the compiled one times the file's rate / compiled_rate, which is exactly the
 * file's rate where both were compiled with the same. TT_ERROR_RESET: the second time the file was
 * not what it was the first time, or could not be read, and all that it holds is back at its
 * factory values. After any other error the state did not change. */
tt_status tt_state_load(const tt_model *model, void *state, tt_read_fn read, void *context);

/* The same for a file of format 1 that the same model saved: samples come with it, and the rate
 * stays as it is. TT_ERROR_RESET: samples are gone, too. */
tt_status tt_state_load_old(const tt_model *model, void *state, tt_read_fn read, void *context);

/* Both for the file of samples. It may stand behind that of what was learned: then the latter is
 * passed over by the size that it states. TT_ERROR_RESET: no sample is left. */
tt_status tt_state_save_samples(const tt_model *model, const void *state, tt_write_fn write,
                                void *context);
tt_status tt_state_load_samples(const tt_model *model, void *state, tt_read_fn read, void *context);

#endif
