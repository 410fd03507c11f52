/* A replay buffer: samples that are kept, to train on them again. Generated code calls this; an
 * application calls NAME_remember, NAME_replay_step and NAME_forget.
 *
 * Which sample is kept follows class-balanced reservoir sampling (docs/arithmetic.md section 8;
 * Chrysakis and Moens, "Online Continual Learning from Imbalanced Data", ICML 2020). A regression
 * counts as one class, for which that is Vitter's reservoir sampling. */
#ifndef TT_REPLAY_H
#define TT_REPLAY_H

#include "tinytrain.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Counts of one class. All 0 is the factory value, here and in tt_replay. */
typedef struct {
    uint32_t seen;    /* samples that were offered; stays at 2^32 - 1 */
    uint16_t held;    /* slots that hold one */
    uint16_t is_full; /* 1 once no class has held more slots while none was free */
} tt_replay_class;

typedef struct {
    uint32_t draws;  /* random numbers drawn so far */
    uint32_t filled; /* slots in use: 0 to filled - 1 */
} tt_replay;

/* Where the counts of a state lie, and the size of its buffer. The functions below accept any
 * content, such as that of a saved file which was edited: they correct it before they use it. */
typedef struct {
    tt_replay *replay;
    tt_replay_class *classes; /* [class_count] */
    uint16_t *labels;         /* [slot_count]: the class of the sample in each slot in use */
    uint32_t class_count;     /* 1 to 65,535 */
    uint32_t slot_count;      /* 1 to 65,535 */
    uint32_t seed;
} tt_replay_buffer;

/* A decision about one sample, which tt_replay_commit carries out. */
typedef struct {
    uint32_t slot;  /* where to store it; slot_count: nowhere, it is not kept */
    uint32_t draws; /* random numbers drawn, this decision included */
} tt_replay_choice;

/* Decides about a sample of a class, 0 <= label < class_count. Changes nothing that a caller sees:
 * until the next commit the answer is the same. */
tt_replay_choice tt_replay_choose(const tt_replay_buffer *buffer, uint32_t label);

/* Counts the sample. Call it after the sample has been stored in choice.slot, if that is a slot. */
void tt_replay_commit(const tt_replay_buffer *buffer, tt_replay_choice choice, uint32_t label);

/* Draws a slot in use, each with the same probability; slot_count if none is in use. */
uint32_t tt_replay_draw(const tt_replay_buffer *buffer);

/* Frees all slots and clears all counts. The random numbers go on. */
void tt_replay_clear(const tt_replay_buffer *buffer);

/* Bytes of the arena. */
typedef struct {
    uint32_t offset; /* in the arena */
    uint32_t size;
} tt_replay_span;

/* What a slot behind callbacks holds, without gaps: target_size bytes of the label or the targets,
 * the bytes of each span, and a u32: the CRC-32 of the model's hash and of all that. */
typedef struct {
    const tt_replay_span *spans;
    size_t span_count;
    size_t target_size;
    const uint8_t *hash; /* 32 bytes */
} tt_replay_slot;

/* Writes a sample into a slot. TT_ERROR_IO: `write` failed, and the slot may be damaged. */
tt_status tt_replay_flash_write(const tt_replay_slot *layout, uint32_t slot, const void *target,
                                const uint8_t *arena, tt_write_slot_fn write, void *context);

/* Writes zeros over slots of so many bytes. TT_ERROR_IO: `write` failed for one at least; the
 * others are erased. */
tt_status tt_replay_flash_erase(uint32_t slot_count, size_t slot_bytes, tt_write_slot_fn write,
                                void *context);

/* Reads a sample from a slot into target and the arena, which are overwritten even on failure.
 * TT_ERROR_IO: `read` failed. TT_ERROR_CRC: the slot does not hold a whole sample of this model. */
tt_status tt_replay_flash_read(const tt_replay_slot *layout, uint32_t slot, void *target,
                               uint8_t *arena, tt_read_slot_fn read, void *context);

#ifdef __cplusplus
}
#endif

#endif
