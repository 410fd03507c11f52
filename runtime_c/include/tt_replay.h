/* A buffer of samples to train on again: which sample goes into which slot, and slots outside of
 * the state.
 *
 * docs/arithmetic.md section 8 has the rule: class-balanced reservoir sampling (Chrysakis and
 * Moens, "Online Continual Learning from Imbalanced Data", ICML 2020). A regression is a single
 * class, for which the rule is Vitter's reservoir.
 */
#ifndef TT_REPLAY_H
#define TT_REPLAY_H

#include "tinytrain.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of a class. Zeros are the factory value, here and below. */
typedef struct {
    uint32_t seen;    /* samples of it that were offered; stays at 2^32 - 1 */
    uint16_t held;    /* slots that hold one */
    uint16_t is_full; /* 1 from when no class held more of a buffer without a free slot */
} tt_replay_class;

typedef struct {
    uint32_t draws;  /* numbers that its generator has given */
    uint32_t filled; /* slots in use, which are the first ones */
} tt_replay;

/* The bookkeeping of a state. Any content is safe: what no sequence of calls could have left, as a
 * saved file that was made by hand may hold it, is mended before it is used. */
typedef struct {
    tt_replay *replay;
    tt_replay_class *classes; /* class_count */
    uint16_t *labels;         /* slot_count: the class that each slot in use holds */
    uint32_t class_count;     /* 1 .. 65,535 */
    uint32_t slot_count;      /* 1 .. 65,535 */
    uint32_t seed;
} tt_replay_buffer;

/* Where a sample is to go; nothing is decided until it is committed. */
typedef struct {
    uint32_t slot; /* slot_count: it is not kept */
    uint32_t draws;
} tt_replay_choice;

/* The slot for a sample of a class, 0 <= label < class_count. The same until the buffer changes. */
tt_replay_choice tt_replay_choose(const tt_replay_buffer *buffer, uint32_t label);

/* The sample has been offered, and lies in the chosen slot if there is one. */
void tt_replay_commit(const tt_replay_buffer *buffer, tt_replay_choice choice, uint32_t label);

/* One of the slots in use, each as likely as the others; slot_count if there is none. */
uint32_t tt_replay_draw(const tt_replay_buffer *buffer);

/* Empties the buffer; its generator goes on. */
void tt_replay_clear(const tt_replay_buffer *buffer);

typedef struct {
    uint32_t offset; /* in the arena */
    uint32_t size;
} tt_replay_span;

/* What a slot outside of the state holds, in this order and without gaps: the target, the spans of
 * the arena, a CRC-32 of the model's hash and all of that. */
typedef struct {
    const tt_replay_span *spans;
    size_t span_count;
    size_t target_size;
    const uint8_t *hash; /* 32 bytes */
} tt_replay_slot;

/* TT_ERROR_IO if `write` fails. */
tt_status tt_replay_flash_write(const tt_replay_slot *layout, uint32_t slot, const void *target,
                                const uint8_t *arena, tt_write_slot_fn write, void *context);

/* TT_ERROR_IO if `read` fails, TT_ERROR_CRC if the slot holds anything but a whole sample of this
 * model. target and arena are overwritten in any case. */
tt_status tt_replay_flash_read(const tt_replay_slot *layout, uint32_t slot, void *target,
                               uint8_t *arena, tt_read_slot_fn read, void *context);

#ifdef __cplusplus
}
#endif

#endif
