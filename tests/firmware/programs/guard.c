/* A guard as an application uses it: what it saves, brings back and stops; callbacks that fail,
 * files that are torn. Prints `ok`, anything else is a failure. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "holds.h"
#include "small.h"
#include "tt_kernels.h"

enum { KEPT = 12 };

static small_state state, before;
static uint8_t bytes[SMALL_SAVED_BYTES];
static tt_guard_memory memory = {bytes, sizeof bytes, 0};
static tt_guard_store store;

/* A store whose calls fail from the one with this number on. */
static int calls_left;

static int spend(void)
{
    return calls_left-- <= 0;
}

static int rewind_bad(void *context, int is_write)
{
    const tt_guard_store in = tt_guard_in_memory(context);
    return spend() ? -1 : in.rewind(context, is_write);
}

static int write_bad(void *context, const void *data, size_t size)
{
    const tt_guard_store in = tt_guard_in_memory(context);
    return spend() ? -1 : in.write(context, data, size);
}

static int read_bad(void *context, size_t offset, void *data, size_t size)
{
    const tt_guard_store in = tt_guard_in_memory(context);
    return spend() ? -1 : in.read(context, offset, data, size);
}

static const tt_guard_store bad = {rewind_bad, write_bad, read_bad, NULL, &memory};

static void give(uint32_t number)
{
    uint32_t random = number * 2654435761U + 1U;
    for (size_t k = 0; k < SMALL_INPUT_SIZE; k++) {
        random = random * 1664525U + 1013904223U;
        small_input(&state)[k] = (int8_t)((int)(random >> 24) - 128);
    }
}

/* Labels that the factory's network predicts, so that it cannot become better. */
static int32_t labels[KEPT];

static void look(void)
{
    for (uint32_t i = 0; i < KEPT; i++) {
        give(i);
        HOLDS(small_guard_look(&state, labels[i]) == TT_OK);
    }
}

static tt_guard_report guard(const tt_guard_store *where, tt_status expected)
{
    tt_guard_report report;
    look();
    HOLDS(small_guard(&state, where, &report) == expected);
    return report;
}

static uint32_t turn; /* the sample of the next step */

static tt_status step(int32_t label)
{
    tt_result result;
    give(turn++ % KEPT);
    const tt_status status = small_train_step(&state, label, &result);
    HOLDS(status != TT_ERROR_STOPPED || isfinite(result.loss));
    return status;
}

/* Always one label, at a rate that ruins. */
static void ruin(void)
{
    HOLDS(small_set_learning_rate(&state, 64.0f) == TT_OK);
    turn = 0;
    for (int i = 0; i < SMALL_GUARD_INTERVAL; i++) {
        HOLDS(small_guard_is_due(&state) == 0);
        HOLDS(step((labels[0] + 1) % SMALL_CLASSES) == TT_OK);
    }
    HOLDS(small_guard_is_due(&state) == 1);
}

/* All that is neither guard nor rate is as in the file. */
static void weights_are_saved(void)
{
    HOLDS(memcmp(state.GUARD_WEIGHTS, bytes + 48, sizeof state.GUARD_WEIGHTS) == 0);
}

static void the_first_check_saves(void)
{
    HOLDS(small_guard_is_due(&state) == 1);
    const tt_guard_report report = guard(&store, TT_OK);
    HOLDS(report.action == TT_GUARD_SAVED && report.reason == TT_GUARD_NONE);
    HOLDS(report.checks == 1 && report.saves == 1 && report.factor == 1.0f);
    HOLDS(small_guard_is_due(&state) == 0);
    weights_are_saved();
}

static void what_is_worse_is_undone(void)
{
    ruin();
    const tt_guard_report report = guard(&store, TT_OK);
    HOLDS(report.action == TT_GUARD_RESTORED && report.reason != TT_GUARD_NONE);
    HOLDS(report.restores == 1 && report.reasons[report.reason] == 1 && report.factor == 0.5f);
    HOLDS(report.kept > report.best);
    HOLDS(strcmp(tt_guard_reason_names[TT_GUARD_KEPT], "kept") == 0);
    weights_are_saved();
    /* The rate is the firmware's; its factor is the guard's. */
    HOLDS(small_learning_rate(&state) == 32.0f);
}

static void a_restore_that_fails_is_tried_again(void)
{
    ruin();
    look();
    calls_left = 0;
    memcpy(&before, &state, sizeof state);
    HOLDS(small_guard(&state, &bad, NULL) == TT_ERROR_IO);
    HOLDS(memcmp(state.GUARD_WEIGHTS, before.GUARD_WEIGHTS, sizeof state.GUARD_WEIGHTS) == 0);
    HOLDS(step(0) == TT_ERROR_STOPPED && small_guard_is_due(&state) == 1);
    /* At every call of the check: the state stays. */
    for (int calls = 1; calls < 6; calls++) {
        calls_left = calls;
        HOLDS(small_guard(&state, &bad, NULL) == TT_ERROR_IO);
        HOLDS(memcmp(state.GUARD_WEIGHTS, before.GUARD_WEIGHTS, sizeof state.GUARD_WEIGHTS) == 0);
    }
    /* A save that power cut short, and one with a bit that fell over. */
    const uint8_t last = bytes[sizeof bytes - 1];
    bytes[sizeof bytes - 1] ^= 1;
    HOLDS(small_guard(&state, &store, NULL) == TT_ERROR_CRC);
    memory.size = sizeof bytes / 2;
    HOLDS(small_guard(&state, &store, NULL) == TT_ERROR_IO);
    memory.size = sizeof bytes;
    bytes[sizeof bytes - 1] = last;
    HOLDS(step(0) == TT_ERROR_STOPPED);
    HOLDS(memcmp(state.GUARD_WEIGHTS, before.GUARD_WEIGHTS, sizeof state.GUARD_WEIGHTS) == 0);
    tt_guard_report report;
    HOLDS(small_guard(&state, &store, &report) == TT_OK);
    HOLDS(report.action == TT_GUARD_RESTORED && report.restores == 2 && report.factor == 0.25f);
    weights_are_saved();
    HOLDS(step(0) == TT_OK);
}

static void it_stops_in_the_end(void)
{
    tt_guard_report report;
    look();
    HOLDS(small_guard_finish(&state, &store, &report) == TT_OK); /* after the step above */
    /* A check that looks at nothing saves nothing. */
    HOLDS(small_guard(&state, &store, &report) == TT_OK && report.action != TT_GUARD_SAVED);
    for (int i = 0; i < 20; i++) {
        HOLDS(small_set_learning_rate(&state, 1024.0f) == TT_OK);
        for (int k = 0; k < SMALL_GUARD_INTERVAL && !small_guard_is_due(&state); k++) {
            HOLDS(step((labels[0] + 1) % SMALL_CLASSES) == TT_OK);
        }
        report = guard(&store, TT_OK);
        if (report.action == TT_GUARD_STOPPED) {
            break;
        }
    }
    HOLDS(report.action == TT_GUARD_STOPPED && report.factor == 1.0f / 128.0f);
    weights_are_saved();
    HOLDS(step(0) == TT_ERROR_STOPPED);
    /* A reset of the device forgets nothing of it. */
    static uint8_t file[SMALL_SAVED_BYTES];
    tt_guard_memory other = {file, sizeof file, 0};
    const tt_guard_store flash = tt_guard_in_memory(&other);
    HOLDS(small_save(&state, flash.write, flash.context) == TT_OK);
    small_init(&state);
    HOLDS(small_load(&state, flash.read, flash.context) == TT_OK);
    HOLDS(step(0) == TT_ERROR_STOPPED);
    small_guard_reset(&state);
    HOLDS(small_learning_rate(&state) == 1024.0f);
    HOLDS(small_guard_is_due(&state) == 1);
    HOLDS(guard(&store, TT_OK).action == TT_GUARD_SAVED);
    HOLDS(step(0) == TT_OK);
}

static void a_save_that_fails(void)
{
    /* Another state is saved. */
    HOLDS(step(1) == TT_OK);
    small_guard_reset(&state);
    HOLDS(guard(&store, TT_OK).action == TT_GUARD_SAVED);
    small_init(&state);
    look();
    calls_left = 3;
    tt_guard_report report;
    HOLDS(small_guard(&state, &bad, &report) == TT_ERROR_IO);
    HOLDS(report.action == TT_GUARD_SAVED);
    /* What it had saved is gone; so it learns nothing rather than anything worse. */
    ruin();
    look();
    HOLDS(small_guard(&state, &store, NULL) != TT_OK);
    HOLDS(step(0) == TT_ERROR_STOPPED);
}

static uint8_t memory_bytes[2][2 * SMALL_SAVED_BYTES];

static int read_memory(void *context, uint32_t address, void *data, size_t size)
{
    (void)context;
    memcpy(data, memory_bytes[0] + address, size);
    return 0;
}

static int program_memory(void *context, uint32_t address, const void *data, size_t size)
{
    (void)context;
    memcpy(memory_bytes[0] + address, data, size);
    return 0;
}

/* What the guard saved last is what a device finds after a reset. */
static void it_goes_back_to_flash(void)
{
    enum { SIZE = sizeof memory_bytes[0] / 32 * 32 };
    static const tt_store_slot slots[] = {{0, SIZE}, {SIZE, SIZE}};
    static uint8_t page[TT_STORE_LEAST_PAGE];
    const tt_store_medium medium = {.read = read_memory,
                                    .program = program_memory,
                                    .slots = slots,
                                    .slot_count = 2,
                                    .page = page};
    tt_store flash;
    HOLDS(tt_store_open(&flash, &medium) == TT_ERROR_EMPTY);
    const tt_guard_store in_flash = tt_guard_in_flash(&flash);
    small_init(&state);
    HOLDS(guard(&in_flash, TT_OK).action == TT_GUARD_SAVED);
    HOLDS(tt_store_size(&flash) == SMALL_SAVED_BYTES);
    memcpy(&before, &state, sizeof state);
    ruin();
    small_init(&state);
    HOLDS(tt_store_open(&flash, &medium) == TT_OK);
    HOLDS(small_load(&state, tt_store_read, &flash) == TT_OK);
    HOLDS(memcmp(state.GUARD_WEIGHTS, before.GUARD_WEIGHTS, sizeof state.GUARD_WEIGHTS) == 0);
    ruin();
    HOLDS(guard(&in_flash, TT_OK).action == TT_GUARD_RESTORED);
    HOLDS(memcmp(state.GUARD_WEIGHTS, before.GUARD_WEIGHTS, sizeof state.GUARD_WEIGHTS) == 0);
    /* A commit that does not fit is a save that failed. */
    const tt_store_slot narrow[] = {{0, 64}, {64, 64}};
    tt_store_medium small_slots = medium;
    small_slots.slots = narrow;
    HOLDS(tt_store_erase(&flash) == TT_OK);
    HOLDS(tt_store_open(&flash, &small_slots) == TT_ERROR_EMPTY);
    small_init(&state);
    HOLDS(guard(&in_flash, TT_ERROR_IO).action == TT_GUARD_SAVED);
}

int main(void)
{
    store = tt_guard_in_memory(&memory);
    small_init(&state);
    for (uint32_t i = 0; i < KEPT; i++) {
        give(i);
        HOLDS(small_infer(&state, NULL, &labels[i]) == TT_OK);
    }
    the_first_check_saves();
    what_is_worse_is_undone();
    a_restore_that_fails_is_tried_again();
    it_stops_in_the_end();
    a_save_that_fails();
    it_goes_back_to_flash();
    puts("ok");
    return 0;
}
