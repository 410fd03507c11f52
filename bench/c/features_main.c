/* An application around a model, with the calls that its features bring: CALLS_NAME is defined for
 * each of them. Without COUNTS it is built to be measured, and nothing in it is there for another
 * reason; with COUNTS it runs on samples of `samples.h`, and prints a line for each function that
 * it called: its name, its mean number of instructions, and how often it was called. */
#include <stdint.h>
#include <string.h>

#include MODEL_HEADER
#ifdef CALLS_LINK
#include LINK_HEADER
#endif
#include "tt_port.h"
#include "tt_signed.h"
#include "tt_store.h"

#define JOINED(model, name) model##_##name
#define OF(model, name) JOINED(model, name)
#define FN(name) OF(MODEL, name)

enum { SLOT = 1 << 15, KEPT = 8 };

static OF(MODEL, state) state;

/* --- what counts ----------------------------------------------------------------------------- */

#ifdef COUNTS
#include "samples.h"

/* Flash, and a sample; not all programs use them. */
extern uint8_t memory[2 * SLOT];
extern const float reals[INPUT_SIZE];
uint8_t memory[2 * SLOT];
const float reals[INPUT_SIZE] = {0.5f};

static struct {
    const char *name;
    uint64_t instructions;
    uint32_t calls;
} counters[16];

static void add(const char *name, uint64_t instructions)
{
    size_t at = 0;
    while (counters[at].name != NULL && strcmp(counters[at].name, name) != 0) {
        at++;
    }
    counters[at].name = name;
    counters[at].instructions += instructions;
    counters[at].calls++;
}

static void put_number(uint64_t number)
{
    char digits[21] = {0};
    size_t at = sizeof digits - 1;
    do {
        digits[--at] = (char)('0' + number % 10U);
        number /= 10U;
    } while (number != 0);
    tt_port_print(" ");
    tt_port_print(digits + at);
}

static void print(void)
{
    for (size_t i = 0; counters[i].name != NULL; i++) {
        tt_port_print(counters[i].name);
        put_number(counters[i].instructions / counters[i].calls);
        put_number(counters[i].calls);
        tt_port_print("\n");
    }
    tt_port_print("stack");
    put_number(tt_port_stack_used());
    tt_port_print(" 1\n");
}

#define COUNTED(name, statement)                       \
    do {                                               \
        const uint64_t start = tt_port_instructions(); \
        statement;                                     \
        add(name, tt_port_instructions() - start);     \
    } while (0)
#else
#define COUNTED(name, statement) statement

/* Linked, not run: a sensor, a person who knows labels, and flash. */
enum { STEPS = 64 };
static volatile int8_t sensor;
static volatile int32_t label;
#define memory ((uint8_t *)0x08020000)
#define reals ((const float *)0x08040000)
#endif

#define CALL(name, ...) COUNTED(#name, (void)FN(name)(__VA_ARGS__))

/* --- samples --------------------------------------------------------------------------------- */

static int32_t label_of(uint32_t i)
{
#ifdef COUNTS
    return labels[i % STEPS];
#else
    (void)i;
    return label;
#endif
}

static void copy_sample(uint32_t i, int8_t *x)
{
#ifdef COUNTS
    memcpy(x, samples[i % STEPS], INPUT_SIZE);
#else
    (void)i;
    for (uint32_t at = 0; at < INPUT_SIZE; at++) {
        x[at] = sensor;
    }
#endif
}

static void give(uint32_t i)
{
#if defined(CALLS_ROWS)
    copy_sample(i, (int8_t *)memory);
    CALL(feed_rows, &state, (const int8_t *)memory, INPUT_ROWS);
#elif defined(CALLS_QUANTIZE)
    CALL(quantize_input, &state, reals);
    copy_sample(i, FN(input)(&state));
#else
    copy_sample(i, FN(input)(&state));
#endif
}

#ifdef TARGETS
static const float *target_of(uint32_t i)
{
    static float target[OUTPUT_SIZE];
    memset(target, 0, sizeof target);
    target[(uint32_t)label_of(i) % OUTPUT_SIZE] = 1.0f;
    return target;
}
#else
#define target_of label_of
#endif

/* --- what keeps files ------------------------------------------------------------------------ */

#if defined(CALLS_SAVE) || defined(CALLS_SAMPLES)
static int write_file(void *context, const void *data, size_t size)
{
    uint8_t **at = context;
    memcpy(*at, data, size);
    *at += size;
    return 0;
}

static int read_file(void *context, size_t offset, void *data, size_t size)
{
    const uint8_t *from = context;
    memcpy(data, from + offset, size);
    return 0;
}
#endif

#ifdef CALLS_STORE
static int read_flash(void *context, uint32_t address, void *data, size_t size)
{
    (void)context;
    memcpy(data, memory + address, size);
    return 0;
}

static int program_flash(void *context, uint32_t address, const void *data, size_t size)
{
    (void)context;
    memcpy(memory + address, data, size);
    return 0;
}

static int erase_flash(void *context, uint32_t address, size_t size)
{
    (void)context;
    memset(memory + address, 0xff, size);
    return 0;
}

static const tt_store_slot slots[] = {{0, SLOT}, {SLOT, SLOT}};
static _Alignas(4) uint8_t page[TT_STORE_LEAST_PAGE];
static const tt_store_medium medium = {.read = read_flash,
                                       .program = program_flash,
                                       .erase = erase_flash,
                                       .slots = slots,
                                       .slot_count = 2,
                                       .program_unit = 4,
                                       .page = page};
static tt_store store;

static void commit(void)
{
    tt_store_begin(&store);
    (void)FN(save)(&state, tt_store_write, &store);
    (void)tt_store_commit(&store);
}

static void restore(void)
{
    tt_status status = tt_store_open(&store, &medium);
    while (status == TT_OK && FN(load)(&state, tt_store_read, &store) != TT_OK) {
        status = tt_store_older(&store);
    }
}
#endif

#ifdef CALLS_SIGNED
/* Stands for a signature, which is the application's: 4 bytes that no attacker would mind. */
static uint8_t tag[4];

static int begin_tag(void *context)
{
    memset(context, 0, sizeof tag);
    return 0;
}

static int update_tag(void *context, const void *data, size_t size)
{
    (void)data;
    *(uint8_t *)context += (uint8_t)size;
    return 0;
}

static int sign(void *context, uint8_t *to)
{
    memcpy(to, context, sizeof tag);
    return 0;
}

static int verify(void *context, const uint8_t *given)
{
    return memcmp(given, context, sizeof tag);
}

static uint8_t hashed[4];
static const tt_signer signer = {begin_tag, update_tag, sign, verify, hashed, tag, sizeof tag};

static size_t save_signed(void)
{
    tt_signed file;
    uint8_t *at = memory;
    tt_signed_begin(&file, &signer, 1, write_file, &at);
    (void)FN(save)(&state, tt_signed_write, &file);
    (void)tt_signed_end(&file);
    return (size_t)(at - memory);
}

static void load_signed(size_t size)
{
    tt_signed file;
    if (tt_signed_open(&file, &signer, 1, read_file, memory, size) == TT_OK &&
        FN(load)(&state, tt_signed_read, &file) == TT_OK) {
        (void)tt_signed_close(&file);
    }
}
#endif

static void keep_files(void)
{
#ifdef CALLS_SAVE
    uint8_t *at = memory;
    CALL(save, &state, write_file, &at);
    CALL(load, &state, read_file, memory);
#endif
#ifdef CALLS_LOAD
    /* What another device learned; counted where it saves. */
    (void)FN(load)(&state, read_file, memory);
#endif
#ifdef CALLS_OLD
    (void)FN(load_old)(&state, read_file, memory);
#endif
#ifdef CALLS_SAMPLES
    uint8_t *sample_at = memory;
    CALL(save_replay, &state, write_file, &sample_at);
    CALL(load_replay, &state, read_file, memory);
#endif
#ifdef CALLS_SIGNED
    size_t size = 0;
    COUNTED("save_signed", size = save_signed());
    COUNTED("load_signed", load_signed(size));
#endif
#ifdef CALLS_STORE
    COUNTED("commit", commit());
    COUNTED("restore", restore());
#endif
#ifdef CALLS_ERASE
    CALL(erase, &state);
#endif
}

/* --- learning -------------------------------------------------------------------------------- */

#ifdef CALLS_PORTIONS
static void step_in_portions(uint32_t i)
{
    (void)FN(step_begin)(&state, target_of(i), NULL);
    while (FN(step_run)(&state, 0) == TT_MORE) {
    }
}
#endif

static void train(uint32_t i)
{
    give(i);
#if defined(CALLS_PORTIONS)
    COUNTED("train_step", step_in_portions(i));
#elif defined(CALLS_LOAD)
    (void)target_of; /* it only infers */
#else
    tt_result result;
    CALL(train_step, &state, target_of(i), &result);
#endif
#ifdef CALLS_CONCURRENT
    int32_t prediction = 0;
    copy_sample(i, FN(concurrent_input)(&state));
    CALL(concurrent_infer, &state, NULL, &prediction);
#endif
}

#ifdef CALLS_FLASH_SLOTS
static int write_slot(void *context, uint32_t slot, size_t offset, const void *data, size_t size)
{
    (void)context;
    memcpy(memory + slot * SLOT_BYTES + offset, data, size);
    return 0;
}

static int read_slot(void *context, uint32_t slot, size_t offset, void *data, size_t size)
{
    (void)context;
    memcpy(data, memory + slot * SLOT_BYTES + offset, size);
    return 0;
}
#define WRITE_SLOT , write_slot, NULL
#define READ_SLOT , read_slot, NULL
#else
#define WRITE_SLOT
#define READ_SLOT
#endif

static void train_again(uint32_t i)
{
    (void)i;
#ifdef CALLS_REPLAY
    tt_result result;
    give(i);
    CALL(train_and_remember, &state, target_of(i), &result WRITE_SLOT);
    CALL(replay_step, &state, &result READ_SLOT);
#endif
#ifdef CALLS_REHEARSAL
    CALL(rehearse_step, &state, NULL);
#endif
}

#ifdef CALLS_GUARD
static uint8_t guarded[SAVED_BYTES];
static tt_guard_memory guard_memory = {guarded, sizeof guarded, 0};

static void guard(void)
{
    const tt_guard_store guard_store = tt_guard_in_memory(&guard_memory);
    if (!FN(guard_is_due)(&state)) {
        return;
    }
    for (uint32_t i = 0; i < KEPT; i++) {
        give(i);
        CALL(guard_look, &state, target_of(i));
    }
    CALL(guard, &state, &guard_store, NULL);
}
#endif

/* --- without a gradient ---------------------------------------------------------------------- */

static void learn_otherwise(uint32_t i)
{
    (void)i;
#ifdef CALLS_ENROL
    tt_enrol_result found;
    give(i);
    CALL(enrol, &state, label_of(i));
    give(i);
    CALL(classify, &state, &found);
#endif
#ifdef CALLS_PSEUDO
    tt_pseudo_result taken;
    give(i);
    CALL(train_unlabelled, &state, &taken);
#endif
#ifdef CALLS_FOLLOW
    int32_t prediction = 0;
    give(i);
    CALL(follow, &state, NULL, &prediction);
#endif
#if defined(CALLS_ANOMALY) && defined(TARGETS)
    tt_anomaly_result seen;
    give(i);
    CALL(anomaly_watch, &state, target_of(i), &seen);
#elif defined(CALLS_ANOMALY)
    tt_anomaly_result seen;
    give(i);
    CALL(anomaly_watch, &state, &seen);
#endif
}

/* --- what is asked --------------------------------------------------------------------------- */

#ifdef CALLS_EVALUATION
static tt_metrics metrics;
static tt_early_stop stop;
#endif

static void ask(uint32_t i)
{
    int32_t prediction = 0;
    give(i);
    CALL(infer, &state, NULL, &prediction);
#ifdef CALLS_EVALUATION
    tt_result result = {0, 0};
    give(i);
    CALL(evaluate, &state, target_of(i), &result);
    tt_metrics_add(&metrics, &result, label_of(i));
    (void)tt_early_stop_add(&stop, tt_metrics_accuracy(&metrics));
#endif
#ifdef CALLS_HEALTH
    tt_health health;
    CALL(health, &state, &health);
#endif
#ifdef CALLS_CLASS_HEALTH
    tt_class_health of_classes;
    CALL(class_health, &state, &of_classes);
    (void)tt_class_trend_of(&of_classes, 0);
#endif
}

#ifdef CALLS_LINK
static OF(MODEL, link) wire;

static int read_wire(void *context)
{
    (void)context;
    return -1;
}

static void write_wire(void *context, const void *data, size_t size)
{
    (void)context;
    (void)data;
    (void)size;
}

static const tt_link_port port = {.read = read_wire, .write = write_wire};
#endif

int main(void)
{
#ifdef COUNTS
    (void)tt_port_instructions();
#endif
    FN(init)(&state);
#ifdef CALLS_SELF_TEST
    CALL(self_test, &state);
#endif
#ifdef CALLS_STORE
    restore();
#endif
#ifdef CALLS_EVALUATION
    tt_metrics_reset(&metrics);
    tt_early_stop_reset(&stop, 0.0f, 3);
#endif
#ifdef CALLS_RATE
    CALL(set_learning_rate, &state, FN(learning_rate)(&state));
#endif
#ifdef CALLS_LINK
    FN(link_init)(&wire, &state, &port);
#endif
    for (uint32_t i = 0; i < STEPS; i++) {
        ask(i);
#ifdef CALLS_GUARD
        guard();
#endif
        train(i);
        train_again(i);
        learn_otherwise(i);
#ifdef CALLS_LINK
        (void)FN(link_poll)(&wire);
#endif
    }
    keep_files();
#ifdef COUNTS
    print();
#endif
    return 0;
}
