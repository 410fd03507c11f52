/* A replay buffer as an application uses it: what is kept and trained on again, callbacks that
 * fail, slots that are torn, files made by hand. Built for slots in RAM or in flash; prints `ok`,
 * anything else is a failure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "holds.h"
#include "memory_file.h"
#include "small.h"
#include "tt_kernels.h"

enum { SLOTS = SMALL_REPLAY_SLOTS, HEADER = 48 };

static small_state state, other;
static memory_file saved, probe;

/* With slots in RAM two files, one behind the other. */
static void save(const small_state *from, memory_file *to)
{
    to->size = 0;
    HOLDS(small_save(from, write_file, to) == TT_OK);
#ifndef IN_FLASH
    HOLDS(small_save_replay(from, write_file, to) == TT_OK);
#endif
}

static tt_status load(small_state *into, memory_file *from)
{
    const tt_status status = small_load(into, read_file, from);
#ifndef IN_FLASH
    return status == TT_OK ? small_load_replay(into, read_file, from) : status;
#else
    return status;
#endif
}

static int is_as_saved(const small_state *found)
{
    save(found, &probe);
    return files_equal(&probe, &saved);
}

/* Weights alone: their size stands in the header. */
static int weights_equal(const small_state *a, const small_state *b)
{
    static memory_file first, second;
    uint32_t size;
    save(a, &first);
    save(b, &second);
    memcpy(&size, first.bytes + 44, sizeof size);
    return memcmp(first.bytes + HEADER, second.bytes + HEADER, size) == 0;
}

static void put_sample(small_state *into, uint32_t number)
{
    uint32_t random = number;
    for (size_t i = 0; i < SMALL_INPUT_SIZE; i++) {
        random = random * 1664525U + 1013904223U;
        small_input(into)[i] = (int8_t)((int)(random >> 24) - 128);
    }
}

#if SMALL_CLASSES > 0
typedef int32_t target;
#define TARGET(number) ((int32_t)((number) % SMALL_CLASSES))
#define BAD_TARGET SMALL_CLASSES
#define ERROR_TARGET TT_ERROR_LABEL
#else
typedef const float *target;
static float targets[2][SMALL_OUTPUT_SIZE];
#define TARGET(number) (targets[0][0] = (float)(number), targets[0])
#define BAD_TARGET (targets[1][0] = 1e38f * 1e38f, targets[1])
#define ERROR_TARGET TT_ERROR_TARGET
#endif

#ifdef IN_FLASH

static uint8_t flash[SLOTS][SMALL_REPLAY_SLOT_BYTES];
static size_t next_at;    /* of the slot that is being moved */
static int fails_in = -1; /* that many pieces from now; -1: never */

static int fails(size_t offset)
{
    HOLDS(offset == 0 || offset == next_at);
    return fails_in >= 0 && fails_in-- == 0;
}

static int write_slot(void *context, uint32_t slot, size_t offset, const void *data, size_t size)
{
    HOLDS(context == &flash && slot < SLOTS && offset + size <= sizeof flash[0]);
    if (fails(offset)) {
        memset(flash[slot] + offset, 0xff, size);
        return -1;
    }
    memcpy(flash[slot] + offset, data, size);
    next_at = offset + size;
    return 0;
}

static int read_slot(void *context, uint32_t slot, size_t offset, void *data, size_t size)
{
    HOLDS(context == &flash && slot < SLOTS && offset + size <= sizeof flash[0]);
    if (fails(offset)) {
        return -1;
    }
    memcpy(data, flash[slot] + offset, size);
    next_at = offset + size;
    return 0;
}

static tt_status remember(small_state *into, target wanted)
{
    return small_remember(into, wanted, write_slot, flash);
}

static tt_status train_and_remember(small_state *into, target wanted)
{
    return small_train_and_remember(into, wanted, NULL, write_slot, flash);
}

static tt_status replay(small_state *from)
{
    return small_replay_step(from, NULL, read_slot, flash);
}

static void callbacks_fail(void)
{
    const int pieces = 3; /* target, the only span, CRC */
    for (int piece = 0; piece < pieces; piece++) {
        for (uint32_t i = 0; i < 2 * SLOTS; i++) {
            save(&state, &saved);
            put_sample(&state, i);
            fails_in = piece;
            const tt_status status = train_and_remember(&state, TARGET(i));
            if (fails_in >= 0) {
                /* It was not to be kept, so nothing was written. */
                fails_in = -1;
                HOLDS(status == TT_OK);
                continue;
            }
            HOLDS(status == TT_ERROR_IO && is_as_saved(&state));
            put_sample(&state, i);
            HOLDS(train_and_remember(&state, TARGET(i)) == TT_OK);
        }
        memcpy(&other, &state, sizeof state);
        fails_in = piece;
        HOLDS(replay(&state) == TT_ERROR_IO);
        HOLDS(weights_equal(&state, &other));
        HOLDS(replay(&state) == TT_OK);
    }
    /* Every byte of a slot is under its CRC. */
    for (size_t at = 0; at < sizeof flash[0]; at++) {
        for (uint32_t i = 0; i < SLOTS; i++) {
            flash[i][at] ^= 0x10;
        }
        memcpy(&other, &state, sizeof state);
        HOLDS(replay(&state) == TT_ERROR_CRC);
        HOLDS(weights_equal(&state, &other));
        for (uint32_t i = 0; i < SLOTS; i++) {
            flash[i][at] ^= 0x10;
        }
    }
    HOLDS(replay(&state) == TT_OK);
}

#else

static tt_status remember(small_state *into, target wanted)
{
    return small_remember(into, wanted);
}

static tt_status train_and_remember(small_state *into, target wanted)
{
    return small_train_and_remember(into, wanted, NULL);
}

static tt_status replay(small_state *from)
{
    return small_replay_step(from, NULL);
}

static void callbacks_fail(void)
{
}

#endif

/* Bookkeeping that no call could have left, under a correct CRC: safe to go on from. */
static void forged(void)
{
    uint32_t weights;
    save(&state, &saved);
    memcpy(&weights, saved.bytes + 44, sizeof weights);
    const size_t classes = SMALL_CLASSES > 0 ? SMALL_CLASSES : 1;
    const size_t size = 8 + 8 * classes + 2 * SLOTS;
#ifdef IN_FLASH
    const size_t first = 0, at = HEADER + weights; /* of the file that holds it; in that */
#else
    uint32_t payload;
    memcpy(&payload, saved.bytes + 40, sizeof payload);
    const size_t first = HEADER + payload + 4, at = HEADER;
#endif
    for (uint32_t seed = 0; seed < 50; seed++) {
        memory_file given = saved;
        uint32_t random = seed;
        for (size_t i = 0; i < size; i++) {
            random = random * 1664525U + 1013904223U;
            given.bytes[first + at + i] = seed == 0 ? 0xff : (uint8_t)(random >> 24);
        }
        const uint32_t crc = tt_crc32(0, given.bytes + first, given.size - first - 4);
        memcpy(given.bytes + given.size - 4, &crc, sizeof crc);
        HOLDS(load(&other, &given) == TT_OK);
        for (uint32_t i = 0; i < 3 * SLOTS; i++) {
            put_sample(&other, i);
            HOLDS(train_and_remember(&other, TARGET(i)) == TT_OK);
            HOLDS(replay(&other) == TT_OK);
        }
    }
}

int main(void)
{
    memset(&state, 0xa5, sizeof state);
    small_init(&state);
    small_init(&other);
    save(&state, &saved);
    HOLDS(replay(&state) == TT_ERROR_EMPTY && is_as_saved(&state));
    put_sample(&state, 1);
    HOLDS(remember(&state, BAD_TARGET) == ERROR_TARGET && is_as_saved(&state));
    HOLDS(train_and_remember(&state, BAD_TARGET) == ERROR_TARGET && is_as_saved(&state));

    /* A step on the only sample that is kept is a step on that sample. */
    HOLDS(remember(&state, TARGET(1)) == TT_OK);
    put_sample(&state, 99); /* whatever lies there */
    HOLDS(replay(&state) == TT_OK);
    put_sample(&other, 1);
    HOLDS(small_train_step(&other, TARGET(1), NULL) == TT_OK);
    HOLDS(weights_equal(&state, &other));

    /* Two calls or one. */
    small_init(&state);
    small_init(&other);
    for (uint32_t i = 0; i < 5 * SLOTS; i++) {
        put_sample(&state, i);
        HOLDS(train_and_remember(&state, TARGET(i)) == TT_OK);
        put_sample(&other, i);
        HOLDS(remember(&other, TARGET(i)) == TT_OK);
        put_sample(&other, i);
        HOLDS(small_train_step(&other, TARGET(i), NULL) == TT_OK);
    }
    save(&state, &saved);
    HOLDS(is_as_saved(&other));

    /* After a reset the buffer goes on where the file was saved. */
    small_init(&other);
    HOLDS(load(&other, &saved) == TT_OK);
    for (uint32_t i = 0; i < 2 * SLOTS; i++) {
        HOLDS(replay(&state) == TT_OK && replay(&other) == TT_OK);
    }
    save(&state, &saved);
    HOLDS(is_as_saved(&other));

    callbacks_fail();
    forged();

    small_forget(&state);
    HOLDS(replay(&state) == TT_ERROR_EMPTY);
    small_init(&state);
    HOLDS(replay(&state) == TT_ERROR_EMPTY);
    printf("ok\n");
    return 0;
}
