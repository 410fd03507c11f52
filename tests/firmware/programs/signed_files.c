/* Signed files as a device uses them: its own under a MAC, in a store, and updates of others under
 * a signature. Every damaged, cut, foreign, plain or old file is refused and leaves the state as it
 * was; memory that answers otherwise in a later pass leaves no byte of it behind. Prints
 * `ok N`, N being the number of files tried; anything else is a failure. With ON_TARGET it runs
 * where a target's port runs, and first says what it takes to load.
 *
 * update.h holds what `tinytrain sign` wrote: `update`, its counter UPDATE_COUNTER, and
 * `public_key`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory_flash.h"
#include "signers.h"
#include "small.h"
#include "tt_store.h"
#include "update.h"

enum { MOST = 1 << 12, NEVER = MOST, SLOTS = 2, SLOT = 4096 };

static unsigned long tried;

#define TEXT(of) #of
#define LINE(number) TEXT(number)

#ifdef ON_TARGET
#include "tt_port.h"
#define END(code, text) (tt_port_print(text), tt_port_exit(code))
#else
#define END(code, text) (fputs(text, stdout), exit(code))
#endif

#define HOLDS(condition)                                         \
    do {                                                         \
        if (!(condition)) {                                      \
            END(1, "line " LINE(__LINE__) ": " #condition "\n"); \
        }                                                        \
    } while (0)

typedef struct memory {
    uint8_t bytes[MOST];
    size_t size;
    size_t highest;               /* offset of the pass so far; a lower one begins another pass */
    int pass;                     /* that runs, from 0 on */
    int lies_in;                  /* the pass in which it is not what it was; -1: in none */
    size_t lies_at;               /* which byte is another one then */
    const struct memory *instead; /* or what is read then; NULL: that byte */
    int fails_in;                 /* the pass in which reading that byte fails; -1: in none */
} memory;

static memory own, plain, given, unsigned_file;
static small_state state, before, factory;

static int write_memory(void *context, const void *data, size_t size)
{
    memory *out = context;
    HOLDS(size <= MOST - out->size);
    memcpy(out->bytes + out->size, data, size);
    out->size += size;
    return 0;
}

static int read_memory(void *context, size_t offset, void *data, size_t size)
{
    memory *in = context;
    if (offset > in->size || size > in->size - offset) {
        return -1;
    }
    in->pass += offset < in->highest;
    in->highest = offset;
    const int lies = in->lies_in == in->pass;
    const memory *from = lies && in->instead != NULL ? in->instead : in;
    memcpy(data, from->bytes + offset, size);
    const int is_hit = in->lies_at >= offset && in->lies_at - offset < size;
    if (is_hit && lies && in->instead == NULL) {
        ((uint8_t *)data)[in->lies_at - offset] ^= 1U;
    }
    return is_hit && in->fails_in == in->pass;
}

static void fresh(const memory *from)
{
    given = *from;
    given.lies_in = -1;
    given.fails_in = -1;
    given.instead = NULL;
    given.highest = 0;
    given.pass = 0;
}

static tt_status load(const tt_signer *signer, uint32_t least, tt_signed *file)
{
    tried++;
    memcpy(&before, &state, sizeof state);
    const tt_status status = tt_signed_open(file, signer, least, read_memory, &given, given.size);
    /* Even an application that does not look at the status takes nothing. */
    const tt_status loaded = small_load(&state, tt_signed_read, file);
    HOLDS(status == TT_OK || loaded == TT_ERROR_IO);
    return status == TT_OK ? loaded : status;
}

static void refuse(const tt_signer *signer, uint32_t least, tt_status expected)
{
    tt_signed file;
    HOLDS(load(signer, least, &file) == expected);
    HOLDS(memcmp(&before, &state, sizeof state) == 0);
}

static void learn(int steps)
{
    for (int i = 0; i < steps; i++) {
        for (size_t k = 0; k < SMALL_INPUT_SIZE; k++) {
            small_input(&state)[k] = (int8_t)((int)(k * 7U + (unsigned)i * 31U) % 256 - 128);
        }
        HOLDS(small_train_step(&state, i % SMALL_CLASSES, NULL) == TT_OK);
    }
}

static int is_as_plain(const small_state *found)
{
    static memory probe;
    probe.size = 0;
    HOLDS(small_save(found, write_memory, &probe) == TT_OK);
    return probe.size == plain.size && memcmp(probe.bytes, plain.bytes, plain.size) == 0;
}

static void save_own(const tt_signer *signer, uint32_t counter)
{
    tt_signed file;
    own.size = 0;
    tt_signed_begin(&file, signer, counter, write_memory, &own);
    HOLDS(small_save(&state, tt_signed_write, &file) == TT_OK);
    HOLDS(tt_signed_end(&file) == TT_OK);
    HOLDS(own.size == plain.size + 8 + signer->tag_size);
    HOLDS(memcmp(own.bytes, plain.bytes, plain.size) == 0);
}

/* Bytes of a file, lengths, those of its end more densely; and what is no signed file at all. */
static void refuse_all_but(const memory *whole, const tt_signer *signer, size_t step)
{
    for (size_t place = 0; place < whole->size;
         place += place + 100 < whole->size ? step : 1 + step / 60) {
        fresh(whole);
        given.bytes[place] ^= (uint8_t)(1U << place % 8U);
        refuse(signer, 0, TT_ERROR_SIGNATURE);
        fresh(whole);
        given.size = place;
        refuse(signer, 0, TT_ERROR_SIGNATURE);
    }
    fresh(&plain);
    refuse(signer, 0, TT_ERROR_SIGNATURE);
    fresh(whole);
    given.bytes[given.size++] = 0;
    refuse(signer, 0, TT_ERROR_SIGNATURE);
}

/* What is read otherwise in a pass is not kept, and what could not be read is not either. */
static void lied(const tt_signer *signer)
{
    tt_signed file;
    const int pass = given.lies_in + given.fails_in + 1;
    const tt_status status = load(signer, 0, &file);
    HOLDS(status != TT_OK);
    if (status != TT_ERROR_RESET) {
        HOLDS(memcmp(&before, &state, sizeof state) == 0);
        return;
    }
    HOLDS(pass == 3 && memcmp(&state, &factory, offsetof(small_state, arena)) == 0);
    HOLDS(tt_signed_close(&file) == (given.fails_in == 3 ? TT_ERROR_IO : TT_ERROR_SIGNATURE));
    fresh(&own);
    HOLDS(load(signer, 0, &file) == TT_OK && is_as_plain(&state));
}

/* The second and third time that a file is read: while NAME_load checks, and while it takes. Pass 0
 * is its end, pass 1 all of it, when it is opened. */
static void lies(const tt_signer *signer, size_t step)
{
    for (int pass = 2; pass <= 3; pass++) {
        for (size_t place = 0; place < plain.size; place += step) {
            fresh(&own);
            given.lies_at = place;
            given.lies_in = pass;
            lied(signer);
            fresh(&own);
            given.lies_at = place;
            given.fails_in = pass;
            lied(signer);
        }
        /* A whole file with a right CRC, which nobody signed. */
        fresh(&own);
        given.instead = &unsigned_file;
        given.lies_in = pass;
        lied(signer);
    }
}

/* --- a store --------------------------------------------------------------------------------- */

static uint8_t flash[SLOTS * SLOT];

static const tt_store_slot slots[SLOTS] = {{0, SLOT}, {SLOT, SLOT}};
static uint8_t page[TT_STORE_LEAST_PAGE];
static const tt_store_medium medium = {.read = read_flash,
                                       .program = program_flash,
                                       .erase = erase_flash,
                                       .context = flash,
                                       .slots = slots,
                                       .slot_count = SLOTS,
                                       .page = page};

static tt_status wake_up(tt_store *store, const tt_signer *signer, uint32_t least, tt_signed *file)
{
    tt_status status = tt_store_open(store, &medium);
    while (status == TT_OK) {
        const tt_status opened =
            tt_signed_open(file, signer, least, tt_store_read, store, tt_store_size(store));
        if (opened == TT_OK && small_load(&state, tt_signed_read, file) == TT_OK) {
            return TT_OK;
        }
        status = tt_store_older(store);
    }
    return status;
}

/* Commits under rising counters; what somebody puts back is refused, and what he breaks too. */
static void keep_in_store(const tt_signer *signer)
{
    static uint8_t old[SLOT];
    tt_store store;
    tt_signed file;
    uint32_t counter = 0; /* the device's own, which nobody can set back */
    memset(flash, 0xff, sizeof flash);
    HOLDS(tt_store_open(&store, &medium) == TT_ERROR_EMPTY);
    for (int i = 0; i < 4; i++) {
        learn(1);
        tt_store_begin(&store);
        tt_signed_begin(&file, signer, counter + 1, tt_store_write, &store);
        HOLDS(small_save(&state, tt_signed_write, &file) == TT_OK);
        HOLDS(tt_signed_end(&file) == TT_OK && tt_store_commit(&store) == TT_OK);
        counter++;
        plain.size = 0;
        HOLDS(small_save(&state, write_memory, &plain) == TT_OK);
        small_init(&state);
        HOLDS(wake_up(&store, signer, counter, &file) == TT_OK && file.counter == counter);
        HOLDS(is_as_plain(&state));
    }
    memcpy(old, flash + store.newest.slot * SLOT, sizeof old);
    const uint32_t newest = store.newest.slot;
    memset(flash + newest * SLOT, 0, SLOT); /* only the one before is left */
    memcpy(&before, &state, sizeof state);
    HOLDS(wake_up(&store, signer, counter, &file) == TT_ERROR_EMPTY);
    HOLDS(file.status == TT_ERROR_OLD && memcmp(&before, &state, sizeof state) == 0);
    HOLDS(wake_up(&store, signer, counter - 1, &file) == TT_OK && file.counter == counter - 1);
    memcpy(flash + newest * SLOT, old, sizeof old);
    HOLDS(wake_up(&store, signer, counter, &file) == TT_OK && is_as_plain(&state));
}

/* Reads of any other order, as of a loader that takes what fits. */
static void out_of_order(const tt_signer *signer)
{
    tt_signed file;
    uint8_t some[8];
    fresh(&own);
    HOLDS(tt_signed_open(&file, signer, 0, read_memory, &given, given.size) == TT_OK);
    HOLDS(tt_signed_read(&file, 100, some, 8) == 0 && memcmp(some, plain.bytes + 100, 8) == 0);
    HOLDS(tt_signed_read(&file, 40, some, 8) == 0 && memcmp(some, plain.bytes + 40, 8) == 0);
    HOLDS(tt_signed_read(&file, plain.size, some, 0) == 0);
    HOLDS(tt_signed_close(&file) == TT_OK);
    HOLDS(tt_signed_read(&file, plain.size - 4, some, 8) != 0);
    /* A pass that ended early was not authentic: the next one, or closing, says so. */
    for (int closes = 0; closes <= 1; closes++) {
        fresh(&own);
        HOLDS(tt_signed_open(&file, signer, 0, read_memory, &given, given.size) == TT_OK);
        given.bytes[101] ^= 1U;
        HOLDS(tt_signed_read(&file, 100, some, 8) == 0);
        HOLDS(closes ? tt_signed_close(&file) == TT_ERROR_SIGNATURE
                     : tt_signed_read(&file, 0, some, 8) != 0);
        HOLDS(tt_signed_read(&file, 0, some, 8) != 0);
    }
}

#ifdef ON_TARGET
static void number(const char *what, uint64_t value)
{
    char told[] = " 000000000\n";
    for (int i = 9; i > 0; i--, value /= 10) {
        told[i] = (char)('0' + value % 10);
    }
    tt_port_print(what);
    tt_port_print(told);
}

/* What a load of a file takes, in instructions to the nearest 40. */
static void count(const char *what, const tt_signer *signer, const memory *from)
{
    tt_signed file;
    fresh(from);
    const uint64_t before_it = tt_port_instructions();
    const tt_status status =
        signer == NULL ? small_load(&state, read_memory, &given) : load(signer, 0, &file);
    number(what, tt_port_instructions() - before_it);
    HOLDS(status == TT_OK);
}
#endif

int main(void)
{
    static const uint8_t key[MAC_KEY_SIZE] = {1, 2, 3}, other[MAC_KEY_SIZE] = {1, 2, 4};
    static mac with, with_other;
    static ed25519 checked;
    const tt_signer signer = mac_signer(&with, key);
    const tt_signer foreign = mac_signer(&with_other, other);
    const tt_signer sender = ed25519_signer(&checked, public_key);
    tt_signed file;

    small_init(&factory);
    small_init(&state);
    learn(1);
    HOLDS(small_save(&state, write_memory, &unsigned_file) == TT_OK);
    learn(3);
    HOLDS(small_save(&state, write_memory, &plain) == TT_OK);
    save_own(&signer, 7);
    small_init(&state);
    fresh(&own);
    HOLDS(load(&signer, 7, &file) == TT_OK && is_as_plain(&state) && file.counter == 7);
    HOLDS(given.pass == 3); /* all of it: to verify, to check, to take */
    fresh(&own);
    refuse(&signer, 8, TT_ERROR_OLD);
    fresh(&own);
    refuse(&foreign, 0, TT_ERROR_SIGNATURE);
    refuse_all_but(&own, &signer, STEP);
    lies(&signer, STEP);
    out_of_order(&signer);

    /* One who only verifies cannot sign. */
    tt_signed_begin(&file, &sender, 1, write_memory, &given);
    HOLDS(tt_signed_end(&file) == TT_ERROR_IO);

    small_init(&state);
    given.size = 0;
    HOLDS(write_memory(&given, update, sizeof update) == 0);
    static memory sent;
    sent = given;
    fresh(&sent);
    HOLDS(load(&sender, UPDATE_COUNTER, &file) == TT_OK && file.counter == UPDATE_COUNTER);
    plain.size = 0;
    HOLDS(small_save(&state, write_memory, &plain) == TT_OK);
    HOLDS(plain.size == sizeof update - 8 - 64 && memcmp(plain.bytes, update, plain.size) == 0);
#ifdef ON_TARGET
    HOLDS(plain.size == own.size - 8 - MAC_TAG_SIZE);
    number("bytes", plain.size);
    count("unsigned", NULL, &plain);
    count("mac", &signer, &own);
    checked.is_known = 0;
    count("signature", &sender, &sent);
#endif
    fresh(&sent);
    refuse(&sender, UPDATE_COUNTER + 1U, TT_ERROR_OLD);
    refuse_all_but(&sent, &sender, 40 * STEP);
    fresh(&sent);
    refuse(&signer, 0, TT_ERROR_SIGNATURE);

    keep_in_store(&signer);
    static char told[] = "ok 00000\n";
    for (int i = 7; i > 2; i--, tried /= 10) {
        told[i] = (char)('0' + tried % 10);
    }
    END(0, told);
    return 0;
}
