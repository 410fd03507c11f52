/* A state before init, at a wrong address, and after all was erased; no sample is left anywhere.
 *
 * The sample is a pattern that nothing else gives. It is learned from and remembered, what was
 * learned and kept is committed twice to stores in a simulated flash, and everything is erased. */
#include <string.h>

#include "holds.h"
#include "memory_file.h"
#include "memory_flash.h"
#include "small.h"
#include "tt_store.h"

enum { SIZE = 1 << 14, PATTERN = 16 };

static small_state state;
static _Alignas(8) uint8_t room[sizeof(small_state) + 8];
static uint8_t flash[4 * SIZE];
static memory_file file;

#ifdef IN_FLASH
static uint8_t slots[SMALL_REPLAY_SLOTS][SMALL_REPLAY_SLOT_BYTES];
static uint32_t broken = SMALL_REPLAY_SLOTS; /* that cannot be written */

static int write_slot(void *context, uint32_t slot, size_t offset, const void *data, size_t size)
{
    (void)context;
    HOLDS(slot < SMALL_REPLAY_SLOTS && offset + size <= sizeof slots[0]);
    if (slot == broken) {
        return -1;
    }
    memcpy(slots[slot] + offset, data, size);
    return 0;
}

static int read_slot(void *context, uint32_t slot, size_t offset, void *data, size_t size)
{
    (void)context;
    memcpy(data, slots[slot] + offset, size);
    return 0;
}

#define REMEMBER(of) small_remember(of, 0, write_slot, NULL)
#define REPLAY(of) small_replay_step(of, NULL, read_slot, NULL)
#define KEPT slots
#else
#define REMEMBER(of) small_remember(of, 0)
#define REPLAY(of) small_replay_step(of, NULL)
#define KEPT flash
#endif

/* Whether the sample lies somewhere in some bytes. */
static int holds_sample(const void *bytes, size_t size)
{
    uint8_t pattern[PATTERN];
    for (int i = 0; i < PATTERN; i++) {
        pattern[i] = (uint8_t)(i * 37 + 11);
    }
    for (size_t at = 0; at + PATTERN <= size; at++) {
        if (memcmp((const uint8_t *)bytes + at, pattern, PATTERN) == 0) {
            return 1;
        }
    }
    return 0;
}

static void give_sample(void)
{
    for (size_t i = 0; i < SMALL_INPUT_SIZE; i++) {
        small_input(&state)[i] = (int8_t)(uint8_t)(i * 37 + 11);
    }
}

/* Every function says so, and changes nothing. */
static void is_refused(small_state *of)
{
    static small_state before;
    tt_result result = {-7.0F, -7};
    memcpy(&before, (const void *)of, sizeof before);
    HOLDS(small_infer(of, NULL, NULL) == TT_ERROR_STATE);
    HOLDS(small_evaluate(of, 0, &result) == TT_ERROR_STATE && result.prediction == -7);
    HOLDS(small_train_step(of, 0, &result) == TT_ERROR_STATE && result.prediction == -7);
    HOLDS(small_set_learning_rate(of, 0.25F) == TT_ERROR_STATE);
    HOLDS(REMEMBER(of) == TT_ERROR_STATE && REPLAY(of) == TT_ERROR_STATE);
    HOLDS(small_save(of, write_file, &file) == TT_ERROR_STATE && file.size == 0);
    HOLDS(small_load(of, read_file, &file) == TT_ERROR_STATE);
#ifndef IN_FLASH
    HOLDS(small_save_replay(of, write_file, &file) == TT_ERROR_STATE && file.size == 0);
    HOLDS(small_load_replay(of, read_file, &file) == TT_ERROR_STATE);
#endif
    HOLDS(memcmp(&before, (const void *)of, sizeof before) == 0);
}

static void before_init(void)
{
    is_refused(&state);
    memset(room, 0xa5, sizeof room);
    small_init((small_state *)(void *)(room + 4));
    for (size_t i = sizeof(tt_step); i < sizeof(small_state); i++) {
        HOLDS(room[4 + i] == 0xa5);
    }
    is_refused((small_state *)(void *)(room + 4));
}

static void commit(tt_store *store, int is_samples)
{
    tt_store_begin(store);
#ifndef IN_FLASH
    if (is_samples) {
        HOLDS(small_save_replay(&state, tt_store_write, store) == TT_OK);
    } else
#endif
    {
        (void)is_samples;
        HOLDS(small_save(&state, tt_store_write, store) == TT_OK);
    }
    HOLDS(tt_store_commit(store) == TT_OK);
}

int main(void)
{
    static const tt_store_slot places[][2] = {{{0, SIZE}, {SIZE, SIZE}},
                                              {{2 * SIZE, SIZE}, {3 * SIZE, SIZE}}};
    static uint8_t page[TT_STORE_LEAST_PAGE];
    tt_store_medium media[2];
    tt_store stores[2];
    before_init();
    small_init(&state);
    HOLDS(small_evaluate(&state, 0, NULL) == TT_OK);
    memset(flash, 0xff, sizeof flash);
    for (int i = 0; i < 2; i++) {
        const tt_store_medium medium = {.read = read_flash,
                                        .program = program_flash,
                                        .erase = erase_flash,
                                        .context = flash,
                                        .slots = places[i],
                                        .slot_count = 2,
                                        .page = page};
        media[i] = medium;
        HOLDS(tt_store_open(&stores[i], &media[i]) == TT_ERROR_EMPTY);
    }
    HOLDS(small_set_learning_rate(&state, 0.0F) == TT_OK); /* a mark of its own */
    for (int i = 0; i < 2; i++) {
        give_sample();
        HOLDS(REMEMBER(&state) == TT_OK);
        give_sample();
        HOLDS(small_train_step(&state, 0, NULL) == TT_OK);
        commit(&stores[0], 0);
        commit(&stores[1], 1);
    }
    give_sample();
    HOLDS(holds_sample(&state, sizeof state) && holds_sample(KEPT, sizeof KEPT));

    small_erase(&state);
    HOLDS(!holds_sample(&state, sizeof state));
    HOLDS(REPLAY(&state) == TT_ERROR_EMPTY);
    for (int i = 0; i < 2; i++) {
        HOLDS(tt_store_erase(&stores[i]) == TT_OK);
        HOLDS(tt_store_open(&stores[i], &media[i]) == TT_ERROR_EMPTY);
    }
#ifdef IN_FLASH
    broken = 0;
    HOLDS(small_erase_slots(write_slot, NULL) == TT_ERROR_IO);
    HOLDS(holds_sample(slots[0], sizeof slots[0]) && !holds_sample(slots[1], sizeof slots[1]));
    broken = SMALL_REPLAY_SLOTS;
    HOLDS(small_erase_slots(write_slot, NULL) == TT_OK);
    HOLDS(!holds_sample(slots, sizeof slots));
#endif
    HOLDS(!holds_sample(flash, sizeof flash));
    static small_state fresh;
    small_init(&fresh);
    HOLDS(memcmp(&fresh, &state, sizeof state) == 0);
    puts("ok");
    return 0;
}
