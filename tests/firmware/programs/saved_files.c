/* Saves, loads and checks through callbacks that fail, and files that are damaged, at every byte.
 *
 * `after` is a state that has learned, `factory` one that has not. What a state is worth comparing
 * by is what it saves: every trained parameter and everything else that a step changes and the next
 * one reads. Prints `ok N`, N being the number of files tried; anything else is a failure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "small.h"
#include "tt_state.h"

#ifdef OF_SAMPLES /* the same for the file of samples */
#define small_save small_save_replay
#define small_load small_load_replay
#define train_step(state, label) small_train_and_remember(state, label, NULL)
#elif defined(OF_OLD) /* and for one of format 1, with samples in it */
#define small_save save_old
#define small_load small_load_old
#define train_step(state, label) small_train_and_remember(state, label, NULL)
static tt_status save_old(const small_state *state, tt_write_fn write, void *context);
#else
#define train_step(state, label) small_train_step(state, label, NULL)
#endif

enum { HEADER = 48, CRC = 4, MOST = 1 << 16 };

typedef struct {
    uint8_t bytes[MOST];
    size_t size;
    size_t moved;    /* bytes read so far, of all times that it was read */
    size_t fails_at; /* the callback that would pass this byte fails */
    int leaves_rubbish;
} file;

static file saved, factory, given, probe;
static small_state state, other;
static unsigned long tried;

#define HOLDS(condition)                                                    \
    do {                                                                    \
        if (!(condition)) {                                                 \
            printf("line %d: %s, file %lu\n", __LINE__, #condition, tried); \
            exit(1);                                                        \
        }                                                                   \
    } while (0)

static int write_file(void *context, const void *data, size_t size)
{
    file *out = context;
    if (out->size + size > out->fails_at) {
        return -1;
    }
    memcpy(out->bytes + out->size, data, size);
    out->size += size;
    return 0;
}

static int read_file(void *context, size_t offset, void *data, size_t size)
{
    file *in = context;
    if (in->moved + size > in->fails_at || offset + size > in->size) {
        /* A real one may have moved some of it before it noticed. */
        if (in->leaves_rubbish) {
            memset(data, 0xa5, size);
        }
        return 1;
    }
    memcpy(data, in->bytes + offset, size);
    in->moved += size;
    return 0;
}

#ifdef OF_OLD
#undef small_save
static file learned, kept;

/* As the version before wrote it: the samples behind the weights, and a seed in the step. */
static tt_status save_old(const small_state *from, tt_write_fn write, void *context)
{
    static uint8_t made[MOST];
    tt_saved_header header;
    learned.size = kept.size = 0;
    learned.fails_at = kept.fails_at = MOST;
    HOLDS(small_save(from, write_file, &learned) == TT_OK);
    HOLDS(small_save_replay(from, write_file, &kept) == TT_OK);
    memcpy(&header, learned.bytes, sizeof header);
    const size_t samples = kept.size - HEADER - CRC, front = HEADER + header.weights_size;
    header.format = 1;
    header.payload_size += (uint32_t)samples;
    memcpy(made, &header, sizeof header);
    memcpy(made + HEADER, learned.bytes + HEADER, header.weights_size);
    memcpy(made + front, kept.bytes + HEADER, samples);
    memcpy(made + front + samples, learned.bytes + front, learned.size - front - CRC);
    const size_t size = learned.size + samples;
    memset(made + size - CRC - 12, 0, 4); /* the rate is not taken: any will do */
    memset(made + size - CRC - 8, 0xff, 4);
    const uint32_t crc = tt_crc32(0, made, size - CRC);
    memcpy(made + size - CRC, &crc, sizeof crc);
    for (size_t at = 0; at < size; at += 8) {
        if (write(context, made + at, size - at < 8 ? size - at : 8) != 0) {
            return TT_ERROR_IO;
        }
    }
    return TT_OK;
}
#define small_save save_old
#endif

static void save(const small_state *from, file *to)
{
    to->size = 0;
    to->fails_at = MOST;
    HOLDS(small_save(from, write_file, to) == TT_OK);
}

static int equals(const small_state *found, const file *wanted)
{
    save(found, &probe);
    return probe.size == wanted->size && memcmp(probe.bytes, wanted->bytes, wanted->size) == 0;
}

static void restore(void)
{
    file whole = saved;
    whole.moved = 0;
    whole.fails_at = 2 * MOST;
    HOLDS(small_load(&state, read_file, &whole) == TT_OK);
    HOLDS(equals(&state, &saved));
}

/* Loads `given` into a state that has learned: what comes out must be `expected`, and the state
 * untouched. check() says the same. */
static void refuse(tt_status expected)
{
    tried++;
    memcpy(&other, &state, sizeof state);
    given.moved = 0;
#if !defined(OF_SAMPLES) && !defined(OF_OLD)
    HOLDS(small_check(read_file, &given) == expected);
    given.moved = 0;
#endif
    HOLDS(small_load(&state, read_file, &given) == expected);
    HOLDS(memcmp(&other, &state, sizeof state) == 0);
}

static tt_status status_of_damage(size_t place)
{
    if (place < 8 || (place >= 40 && place < HEADER)) {
        return TT_ERROR_FORMAT;
    }
    return place < HEADER ? TT_ERROR_MODEL : TT_ERROR_CRC;
}

static void fresh_copy(void)
{
    given = saved;
    given.fails_at = 2 * MOST;
}

static void damaged_everywhere(void)
{
    for (size_t place = 0; place < saved.size; place++) {
        for (int bit = 0; bit < 8; bit++) {
            fresh_copy();
            given.bytes[place] ^= (uint8_t)(1U << bit);
            refuse(status_of_damage(place));
        }
    }
}

static uint32_t random_state = 1;

static uint32_t any(uint32_t below)
{
    random_state = random_state * 1664525U + 1013904223U;
    return (random_state >> 8) % below;
}

/* Bytes changed, moved, taken out, put in, or taken from another good file of the model. */
static void edit(void)
{
    const size_t at = any((uint32_t)saved.size);
    size_t size = 1 + any(16);
    size = size < saved.size - at ? size : saved.size - at;
    switch (any(5)) {
    case 0:
        for (size_t i = 0; i < size; i++) {
            given.bytes[at + i] = (uint8_t)any(256);
        }
        break;
    case 1:
        memmove(given.bytes + at, given.bytes + any((uint32_t)(saved.size - size + 1)), size);
        break;
    case 2:
        memmove(given.bytes + at, given.bytes + at + size, saved.size - at - size);
        break;
    case 3:
        memmove(given.bytes + at + size, given.bytes + at, saved.size - at - size);
        break;
    default:
        memcpy(given.bytes + at, factory.bytes + at, size);
        break;
    }
}

/* 1 to 4 edits of each: refused, where they change anything, and the state stays as it is. */
static void edited_at_random(unsigned long count)
{
    for (unsigned long i = 0; i < count; i++) {
        fresh_copy();
        for (uint32_t left = 1 + any(4); left > 0; left--) {
            edit();
        }
        if (memcmp(given.bytes, saved.bytes, saved.size) == 0) {
            continue;
        }
        tried++;
        given.moved = 0;
        HOLDS(small_load(&state, read_file, &given) != TT_OK);
        HOLDS(memcmp(&other, &state, sizeof state) == 0);
    }
}

static void cut_everywhere(void)
{
    for (size_t size = 0; size < saved.size; size++) {
        fresh_copy();
        given.size = size;
        given.leaves_rubbish = (int)(size & 1U);
        refuse(TT_ERROR_IO);
    }
}

static void reading_fails_everywhere(void)
{
    for (size_t place = 0; place < saved.size; place++) {
        fresh_copy();
        given.fails_at = place;
        given.leaves_rubbish = 1;
        refuse(TT_ERROR_IO);
    }
}

/* Only while what was checked is taken. */
static void reading_again_fails_everywhere(void)
{
    for (size_t place = 0; place < saved.size; place++) {
        tried++;
        fresh_copy();
        given.fails_at = saved.size + place;
        given.leaves_rubbish = (int)(place & 1U);
        given.moved = 0;
        memcpy(&other, &state, sizeof state);
        if (place < HEADER) {
            HOLDS(small_load(&state, read_file, &given) == TT_ERROR_IO);
            HOLDS(memcmp(&other, &state, sizeof state) == 0);
        } else {
            HOLDS(small_load(&state, read_file, &given) == TT_ERROR_RESET);
            HOLDS(equals(&state, &factory));
            restore();
        }
    }
}

static void writing_fails_everywhere(void)
{
    for (size_t place = 0; place < saved.size; place++) {
        tried++;
        memcpy(&other, &state, sizeof state);
        probe.size = 0;
        probe.fails_at = place;
        HOLDS(small_save(&state, write_file, &probe) == TT_ERROR_IO);
        HOLDS(probe.size <= place);
        HOLDS(memcmp(&other, &state, sizeof state) == 0);
    }
}

#if !defined(OF_SAMPLES) && !defined(OF_OLD)
/* A correct CRC around numbers that no step could have led to. */
static void forged(size_t place, const void *value, size_t size)
{
    fresh_copy();
    memcpy(given.bytes + place, value, size);
    const uint32_t crc = tt_crc32(0, given.bytes, given.size - CRC);
    memcpy(given.bytes + given.size - CRC, &crc, sizeof crc);
    refuse(TT_ERROR_CRC);
}

static void forged_files(void)
{
    static const uint32_t rates[] = {0x7fc00000U, 0x7f800000U, 0xff800000U, 0xbf800000U,
                                     0x44800001U};
    static const int32_t exponents[] = {61, -61, INT32_MAX, INT32_MIN};
    static const uint32_t maxima[] = {(1U << 28) + 1U, UINT32_MAX};
    const size_t tail = saved.size - CRC - 12;
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        forged(tail, &rates[i], 4);
        forged(tail + 4, &rates[i], 4);
    }
    for (size_t i = 0; i < sizeof exponents / sizeof exponents[0]; i++) {
        forged(tail - 8, &exponents[i], 4);
    }
    for (size_t i = 0; i < sizeof maxima / sizeof maxima[0]; i++) {
        forged(tail - 4, &maxima[i], 4);
    }
}
#else
static void forged_files(void)
{
}
#endif

static void learn(small_state *into, int steps)
{
    uint32_t random = 7;
    for (int i = 0; i < steps; i++) {
        for (size_t k = 0; k < SMALL_INPUT_SIZE; k++) {
            random = random * 1664525U + 1013904223U;
            small_input(into)[k] = (int8_t)((int)(random >> 24) - 128);
        }
        HOLDS(train_step(into, i % SMALL_CLASSES) == TT_OK);
    }
}

/* saved_files EDITS */
int main(int count, char **arguments)
{
    HOLDS(count == 2);
    small_init(&state);
    save(&state, &factory);
    learn(&state, 20);
#ifndef OF_OLD /* of which no rate is taken */
    HOLDS(small_set_learning_rate(&state, 0.25f) == TT_OK);
#endif
    save(&state, &saved);
    HOLDS(memcmp(saved.bytes, factory.bytes, saved.size) != 0);
    restore();

    damaged_everywhere();
    edited_at_random(strtoul(arguments[1], NULL, 10));
    cut_everywhere();
    reading_fails_everywhere();
    reading_again_fails_everywhere();
    writing_fails_everywhere();
    forged_files();

    /* A file longer than the model's own is read as far as it goes, and no further. */
    fresh_copy();
    given.size += 100;
    given.moved = 0;
    HOLDS(small_load(&state, read_file, &given) == TT_OK);
    HOLDS(given.moved == 2 * saved.size);

    /* After a load, training goes on as if there had been no break; after a reset, as the first
     * time. */
    small_init(&other);
    restore();
    fresh_copy();
    given.moved = 0;
    HOLDS(small_load(&other, read_file, &given) == TT_OK);
    learn(&state, 9);
    learn(&other, 9);
    save(&state, &given);
    HOLDS(equals(&other, &given));
    small_init(&state);
    HOLDS(equals(&state, &factory));
    printf("ok %lu\n", tried);
    return 0;
}
