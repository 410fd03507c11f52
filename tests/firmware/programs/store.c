/* A store on a simulated memory: power cuts before, in the middle of and after every operation,
 * callbacks that fail, files that are too large, rolling back, erasing, wear.
 *
 *     store SLOTS SLOT_BYTES PROGRAM_UNIT ERASE_UNIT COMMITS
 *
 * ERASE_UNIT 0 erases a slot by one call; 1 is memory without erasing. Each commit is what a model
 * saves after a few steps, or after none. Prints `ok CUTS`; anything else is a failure. */
#include <string.h>

#include "flash_simulator.h"
#include "holds.h"
#include "memory_file.h"
#include "small.h"
#include "tt_store.h"

static small_state state, other;
static memory_file old, new;
static tt_store store;
static unsigned long cuts;

static void make(const small_state *from, memory_file *to)
{
    to->size = 0;
    HOLDS(small_save(from, write_file, to) == TT_OK);
}

static tt_status commit_to(tt_store *to)
{
    tt_store_begin(to);
    const tt_status saved = small_save(&state, tt_store_write, to);
    const tt_status status = tt_store_commit(to);
    HOLDS((saved == TT_OK) == (status == TT_OK) || saved == TT_OK);
    return status;
}

static int holds_file(const tt_store *found, const memory_file *file)
{
    static uint8_t read[sizeof file->bytes];
    return tt_store_size(found) == file->size &&
           tt_store_read((void *)(uintptr_t)found, 0, read, file->size) == 0 &&
           memcmp(read, file->bytes, file->size) == 0;
}

/* What a device finds when it wakes up: the old state, or the new one where it may be. */
static int wakes_up(int had_old)
{
    static tt_store found;
    const tt_status status = tt_store_open(&found, &medium);
    if (status == TT_ERROR_EMPTY) {
        HOLDS(!had_old);
        return 0;
    }
    HOLDS(status == TT_OK);
    const int is_new = holds_file(&found, &new);
    HOLDS(is_new || (had_old && holds_file(&found, &old)));
    small_init(&other);
    HOLDS(small_load(&other, tt_store_read, &found) == TT_OK);
    return is_new;
}

/* The commit from `old` to `new`, cut at an operation. 1: it came to its end before. */
static int cut(int at, int kind, int had_old)
{
    memcpy(bytes, snapshot, sizeof bytes);
    memcpy(programmed, programmed_then, sizeof programmed);
    static tt_store trial;
    const tt_status opened = tt_store_open(&trial, &medium);
    HOLDS(opened == (had_old ? TT_OK : TT_ERROR_EMPTY));
    operations = 0;
    ends_at = at;
    how = kind;
    int is_whole = 0;
    if (setjmp(power) == 0) {
        HOLDS(commit_to(&trial) == TT_OK);
        is_whole = 1;
    } else {
        cuts++;
    }
    ends_at = NEVER;
    const int is_new = wakes_up(had_old);
    HOLDS(!is_whole || is_new);
    /* A device that goes on after the cut loses nothing either. */
    HOLDS(tt_store_open(&trial, &medium) != TT_ERROR_IO);
    HOLDS(commit_to(&trial) == TT_OK && holds_file(&trial, &new));
    return is_whole;
}

static void learn(int steps)
{
    for (int i = 0; i < steps; i++) {
        for (size_t k = 0; k < SMALL_INPUT_SIZE; k++) {
            small_input(&state)[k] = (int8_t)((int)any(256) - 128);
        }
        HOLDS(small_train_step(&state, (int32_t)any(SMALL_CLASSES), NULL) == TT_OK);
    }
}

/* A callback fails at each operation: what counted before counts on, and the next commit works. */
static void fail_everywhere(int kind, const memory_file *next)
{
    fails = 1;
    how = kind;
    for (int at = 0;; at++) {
        memcpy(bytes, snapshot, sizeof bytes);
        memcpy(programmed, programmed_then, sizeof programmed);
        HOLDS(tt_store_open(&store, &medium) == TT_OK);
        operations = 0;
        ends_at = at;
        const tt_status status = commit_to(&store);
        const int was_reached = operations > at;
        ends_at = NEVER;
        /* Another slot may have taken the place of one that could not be erased. */
        HOLDS(status == TT_OK ? holds_file(&store, &new) : status == TT_ERROR_IO);
        HOLDS(status == TT_OK || holds_file(&store, &old));
        /* What is committed next counts after a reset, whatever the one that failed has left. */
        tt_store_begin(&store);
        HOLDS(tt_store_write(&store, next->bytes, next->size) == 0);
        HOLDS(tt_store_commit(&store) == TT_OK && holds_file(&store, next));
        HOLDS(tt_store_open(&store, &medium) == TT_OK && holds_file(&store, next));
        if (!was_reached) {
            break;
        }
    }
    fails = 0;
}

static void cut_everywhere(int commits)
{
    int had_old = 0;
    small_init(&state);
    for (int n = 0; n < commits; n++) {
        learn((int)any(3));
        make(&state, &new);
        memcpy(snapshot, bytes, sizeof bytes);
        memcpy(programmed_then, programmed, sizeof programmed);
        for (int at = 0, is_whole = 0; !is_whole; at++) {
            for (int kind = BEFORE; kind <= AFTER; kind++) {
                is_whole = cut(at, kind, had_old);
            }
        }
        if (had_old && n % 16 == 1) {
            for (int kind = TORN; kind <= AFTER; kind++) {
                fail_everywhere(kind, &old);
                fail_everywhere(kind, &new);
            }
        }
        HOLDS(tt_store_open(&store, &medium) == TT_OK && holds_file(&store, &new));
        had_old = 1;
        old = new;
    }
}

static void blank(void)
{
    memset(bytes, medium.erase == NULL ? 0 : 0xFF, sizeof bytes);
    memset(programmed, 0, sizeof programmed);
    memset(erased, 0, sizeof erased);
}

static void wear(int commits)
{
    blank();
    HOLDS(tt_store_open(&store, &medium) == TT_ERROR_EMPTY);
    for (int n = 0; n < commits; n++) {
        learn(1);
        HOLDS(commit_to(&store) == TT_OK);
        const int before = operations;
        HOLDS(commit_to(&store) == TT_OK && operations == before); /* nothing to write */
    }
    uint32_t least = UINT32_MAX, most = 0;
    for (uint32_t i = 0; i < medium.slot_count; i++) {
        const uint32_t times = erased[slots[i].address];
        least = times < least ? times : least;
        most = times > most ? times : most;
    }
    HOLDS(most - least <= 1);
}

static void go_back_and_forget(void)
{
    blank();
    HOLDS(tt_store_open(&store, &medium) == TT_ERROR_EMPTY && tt_store_size(&store) == 0);
    HOLDS(tt_store_older(&store) == TT_ERROR_EMPTY && tt_store_roll_back(&store) == TT_ERROR_EMPTY);
    HOLDS(tt_store_commit(&store) == TT_ERROR_EMPTY); /* nothing was begun */
    HOLDS(tt_store_write(&store, "x", 1) != 0);
    small_init(&state);
    learn(1);
    make(&state, &old);
    HOLDS(commit_to(&store) == TT_OK);
    HOLDS(tt_store_roll_back(&store) == TT_ERROR_EMPTY && holds_file(&store, &old));
    learn(1);
    make(&state, &new);
    HOLDS(commit_to(&store) == TT_OK && holds_file(&store, &new));
    HOLDS(tt_store_older(&store) == TT_OK && holds_file(&store, &old));
    HOLDS(tt_store_older(&store) == TT_ERROR_EMPTY && holds_file(&store, &old));
    HOLDS(commit_to(&store) == TT_OK && holds_file(&store, &new));
    HOLDS(tt_store_roll_back(&store) == TT_OK && holds_file(&store, &old));
    HOLDS(tt_store_open(&store, &medium) == TT_OK && holds_file(&store, &old));
    HOLDS(commit_to(&store) == TT_OK && holds_file(&store, &new));
    /* An older file that is shown meanwhile changes nothing. */
    tt_store_begin(&store);
    HOLDS(tt_store_older(&store) == TT_OK);
    HOLDS(tt_store_write(&store, new.bytes, new.size) == 0);
    HOLDS(tt_store_write(&store, "more", 4) == 0 && tt_store_commit(&store) == TT_OK);
    HOLDS(tt_store_size(&store) == new.size + 4);
    HOLDS(commit_to(&store) == TT_OK && holds_file(&store, &new));

    /* What is longer, what is shorter, and what is too long. */
    tt_store_begin(&store);
    HOLDS(tt_store_write(&store, new.bytes, new.size) == 0);
    HOLDS(tt_store_write(&store, "more", 4) == 0 && tt_store_commit(&store) == TT_OK);
    HOLDS(tt_store_size(&store) == new.size + 4);
    tt_store_begin(&store);
    HOLDS(tt_store_write(&store, new.bytes, 3) == 0 && tt_store_commit(&store) == TT_OK);
    HOLDS(tt_store_size(&store) == 3);
    tt_store_begin(&store);
    for (int i = 0; i < 1 << 12; i++) {
        if (tt_store_write(&store, old.bytes, 16) != 0) {
            break;
        }
    }
    HOLDS(tt_store_commit(&store) == TT_ERROR_SPACE && tt_store_size(&store) == 3);
    HOLDS(tt_store_open(&store, &medium) == TT_OK && tt_store_size(&store) == 3);
    uint8_t four[4];
    HOLDS(tt_store_read(&store, 0, four, 4) != 0 && tt_store_read(&store, 4, four, 0) != 0);

    /* A power cut while all is erased leaves the newest file, or none. */
    for (int at = 0; at < (int)medium.slot_count; at++) {
        memcpy(snapshot, bytes, sizeof bytes);
        memcpy(programmed_then, programmed, sizeof programmed);
        operations = 0;
        ends_at = at;
        how = AFTER;
        if (setjmp(power) == 0) {
            HOLDS(tt_store_erase(&store) == TT_OK);
        }
        ends_at = NEVER;
        const tt_status left = tt_store_open(&store, &medium);
        HOLDS(left == TT_ERROR_EMPTY || (left == TT_OK && tt_store_size(&store) == 3));
        memcpy(bytes, snapshot, sizeof bytes);
        memcpy(programmed, programmed_then, sizeof programmed);
        HOLDS(tt_store_open(&store, &medium) == TT_OK && tt_store_size(&store) == 3);
    }
    HOLDS(tt_store_erase(&store) == TT_OK && tt_store_size(&store) == 0);
    for (uint32_t i = 0; i < medium.slot_count; i++) {
        for (uint32_t k = 0; k + 32 <= slots[i].size; k++) {
            HOLDS(bytes[slots[i].address + k] == (medium.erase == NULL ? 0 : 0xFF));
        }
    }
    HOLDS(tt_store_open(&store, &medium) == TT_ERROR_EMPTY);
    HOLDS(tt_store_read(&store, 0, four, 0) != 0);

    /* What cannot be read is not overwritten. */
    HOLDS(commit_to(&store) == TT_OK);
    cannot_read = 1;
    HOLDS(tt_store_open(&store, &medium) == TT_ERROR_IO && commit_to(&store) == TT_ERROR_IO);
    cannot_read = 0;
    HOLDS(commit_to(&store) == TT_OK && holds_file(&store, &new));
}

/* A firmware of model 1 or 2 wakes up, and goes on from its newest file. Returns the number in it;
 * 0: there is none. */
static int wakes_as(tt_store *found, int model)
{
    tt_status status = tt_store_open(found, &medium);
    while (status == TT_OK) {
        uint8_t first[2];
        HOLDS(tt_store_read(found, 0, first, sizeof first) == 0);
        if (first[0] == model) {
            return first[1];
        }
        status = tt_store_older(found);
    }
    HOLDS(status == TT_ERROR_EMPTY);
    return 0;
}

static tt_status commit_as(tt_store *to, int model, int number)
{
    uint8_t file[120];
    memset(file, number, sizeof file);
    file[0] = (uint8_t)model;
    tt_store_begin(to);
    (void)tt_store_write(to, file, 1);
    (void)tt_store_write(to, file + 1, 60U + (uint32_t)number);
    return tt_store_commit(to);
}

/* The commit of a firmware that went on from `was`, cut at an operation. 1: it came to its end
 * before. */
static int cut_as(int model, int was, int number, int at, int kind)
{
    static tt_store trial;
    static int is_whole;
    memcpy(bytes, snapshot, sizeof bytes);
    memcpy(programmed, programmed_then, sizeof programmed);
    HOLDS(wakes_as(&trial, model) == was);
    operations = 0;
    ends_at = at;
    how = kind;
    is_whole = 0;
    if (setjmp(power) == 0) {
        HOLDS(commit_as(&trial, model, number) == TT_OK);
        is_whole = 1;
    } else {
        cuts++;
    }
    ends_at = NEVER;
    const int found = wakes_as(&trial, model);
    HOLDS(found == number || (!is_whole && found == was));
    HOLDS(commit_as(&trial, model, number) == TT_OK);
    HOLDS(wakes_as(&trial, model) == number);
    return is_whole;
}

/* Firmware goes from one model to another and back: whatever a device goes on from, a cut in its
 * next commit leaves that or the new one. */
static void take_turns(void)
{
    static tt_store trial;
    int number = 0, went_on = 0;
    blank();
    for (int turn = 0; turn < 8; turn++) {
        const int model = 1 + turn % 2;
        for (int n = 0; n < 1 + turn % 3; n++) {
            const int other_was = wakes_as(&trial, 3 - model), was = wakes_as(&trial, model);
            went_on += was > 0 && n == 0;
            if (was > 0) { /* what it went on from is there already */
                const int before = operations;
                HOLDS(commit_as(&trial, model, was) == TT_OK && operations == before);
            }
            memcpy(snapshot, bytes, sizeof bytes);
            memcpy(programmed_then, programmed, sizeof programmed);
            number++;
            for (int at = 0, is_whole = 0; !is_whole; at++) {
                for (int kind = BEFORE; kind <= AFTER; kind++) {
                    is_whole = cut_as(model, was, number, at, kind);
                }
            }
            /* Of three slots one is left for the other model. */
            HOLDS(n > 0 || medium.slot_count == 2 || wakes_as(&trial, 3 - model) == other_was);
        }
    }
    HOLDS(went_on >= 2);
}

/* Sequence numbers go round. */
static void wrap(void)
{
    HOLDS(tt_store_erase(&store) == TT_OK);
    store.sequence = UINT32_MAX - 2U;
    store.has_seen = 1;
    for (int n = 0; n < 8; n++) {
        learn(1);
        make(&state, &new);
        HOLDS(commit_to(&store) == TT_OK);
        HOLDS(tt_store_open(&store, &medium) == TT_OK && holds_file(&store, &new));
    }
}

static void refuse(void)
{
    const tt_store_medium good = medium;
    medium.slot_count = 1;
    HOLDS(tt_store_open(&store, &medium) == TT_ERROR_FORMAT);
    medium = good;
    medium.program_unit = 3;
    HOLDS(tt_store_open(&store, &medium) == TT_ERROR_FORMAT);
    medium.program_unit = 1024;
    HOLDS(tt_store_open(&store, &medium) == TT_ERROR_FORMAT);
    medium = good;
    medium.erase_unit = 262145;
    HOLDS(tt_store_open(&store, &medium) == TT_ERROR_FORMAT);
    medium.erase_unit = slots[0].size - 1;
    HOLDS(tt_store_open(&store, &medium) == TT_ERROR_FORMAT);
    medium = good;
    medium.page = NULL;
    HOLDS(tt_store_open(&store, &medium) == TT_ERROR_FORMAT);
    medium = good;
    const tt_store_slot twice[] = {slots[0], slots[0]};
    medium.slots = twice;
    medium.slot_count = 2;
    HOLDS(tt_store_open(&store, &medium) == TT_ERROR_FORMAT);
    medium = good;
}

/* Any bit of the newest slot is another: that file counts whole, or the one before it. */
static void flip_everywhere(void)
{
    blank();
    HOLDS(tt_store_open(&store, &medium) == TT_ERROR_EMPTY);
    make(&state, &old);
    HOLDS(commit_to(&store) == TT_OK);
    learn(3);
    make(&state, &new);
    HOLDS(commit_to(&store) == TT_OK);
    const uint32_t address = slots[store.newest.slot].address;
    const uint32_t begins = medium.program_unit > 32 ? medium.program_unit : 32;
    for (uint32_t i = 0; i < begins + new.size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[address + i] ^= (uint8_t)(1U << bit);
            const int is_new = wakes_up(1);
            HOLDS(is_new == (i >= 20 && i < begins)); /* behind the mark nothing is looked at */
            bytes[address + i] ^= (uint8_t)(1U << bit);
        }
    }
    HOLDS(wakes_up(1));
}

int main(int count, char **arguments)
{
    HOLDS(count == 6);
    const uint32_t size = (uint32_t)atoi(arguments[2]), unit = (uint32_t)atoi(arguments[4]);
    const int commits = atoi(arguments[5]);
    medium = (tt_store_medium){.read = read_bytes,
                               .program = program_bytes,
                               .erase = unit == 1 ? NULL : erase_bytes,
                               .slots = slots,
                               .slot_count = (uint32_t)atoi(arguments[1]),
                               .program_unit = (uint32_t)atoi(arguments[3]),
                               .erase_unit = unit,
                               .page = page};
    uint32_t address = 0;
    for (uint32_t i = 0; i < medium.slot_count; i++) {
        /* Where a slot is erased as a whole they differ in size. */
        slots[i] = (tt_store_slot){address, unit == 0 && i % 2 ? 2 * size : size};
        address += slots[i].size;
    }
    HOLDS(address <= MOST);
    blank();
    cut_everywhere(commits);
    wear(50);
    go_back_and_forget();
    take_turns();
    blank();
    HOLDS(tt_store_open(&store, &medium) == TT_ERROR_EMPTY);
    wrap();
    refuse();
    flip_everywhere();
    printf("ok %lu\n", cuts);
    return 0;
}
