/* Calls of a model's functions with any arguments, in any order. HAS_NAME is defined for each
 * function m_NAME of the model. */
#ifndef CALLS_H
#define CALLS_H

#include "input.h"
#include "m.h"

typedef struct {
    uint8_t bytes[1 << 13];
    size_t size;     /* written so far */
    size_t fails_at; /* the callback that would pass this byte fails */
} file;

static inline int write_file(void *context, const void *data, size_t size)
{
    file *out = context;
    HOLDS(size <= sizeof out->bytes - out->size);
    if (size > out->fails_at - out->size) {
        return -1;
    }
    memcpy(out->bytes + out->size, data, size);
    out->size += size;
    return 0;
}

static inline int read_file(void *context, size_t offset, void *data, size_t size)
{
    const file *in = context;
    if (offset > in->size || size > in->size - offset) {
        memset(data, 0xa5, size); /* a real one may have moved some of it before it noticed */
        return -1;
    }
    memcpy(data, in->bytes + offset, size);
    return 0;
}

static inline void save(const m_state *from, file *to)
{
    to->size = 0;
    to->fails_at = sizeof to->bytes;
    HOLDS(m_save(from, write_file, to) == TT_OK);
}

static m_state state, before;

/* --- samples and targets --------------------------------------------------------------------- */

#if defined(TARGET_PIXELS)
typedef const uint8_t *target;
static inline target take_target(input *in)
{
    static uint8_t labels[M_PIXELS];
    take_many(in, labels, sizeof labels);
    const int is_sound = take_u8(in) & 1U;
    for (size_t i = 0; is_sound && i < M_PIXELS; i++) {
        labels[i] = (uint8_t)(labels[i] % M_CLASSES);
    }
    return labels;
}
#elif defined(TARGET_FLOATS)
typedef const float *target;
static inline target take_target(input *in)
{
    static float values[M_OUTPUT_SIZE];
    const int is_sound = take_u8(in) & 1U;
    for (size_t i = 0; i < M_OUTPUT_SIZE; i++) {
        values[i] = is_sound ? (float)take_u8(in) / 255.0f : take_float(in);
    }
    return values;
}
#else
typedef int32_t target;
static inline target take_target(input *in)
{
    const uint8_t value = take_u8(in);
    return value == 255 ? (int32_t)take_u32(in) : value % (M_CLASSES + 2) - 1;
}
#endif

#ifdef HAS_feed_rows
static void call_feed(input *in)
{
    static int8_t rows[M_INPUT_ROWS * M_ROW_SIZE];
    take_many(in, rows, sizeof rows);
    const uint8_t count = take_u8(in);
    /* No more are read than are missing, whatever is asked for. */
    m_feed_rows(&state, rows, count == 255 ? SIZE_MAX : count % (2 * M_INPUT_ROWS));
}

static void call_feed_real(input *in)
{
    static float rows[M_INPUT_ROWS * M_ROW_SIZE];
    static int8_t quantized[M_INPUT_ROWS * M_ROW_SIZE];
    take_many(in, rows, sizeof rows);
    const uint8_t count = take_u8(in);
    m_quantize_rows(M_INPUT_ROWS, rows, quantized);
    m_feed_real_rows(&state, rows, count == 255 ? SIZE_MAX : count % (2 * M_INPUT_ROWS));
}

static void call_feed_restart(input *in)
{
    (void)in;
    m_feed_restart(&state);
}
#else
#ifdef HAS_input0
#define INPUT m_input0
#define SIZE (M_INPUT0_SIZE)
#else
#define INPUT m_input
#define SIZE (M_INPUT_SIZE)
#endif

static void call_sample(input *in)
{
    take_many(in, INPUT(&state), SIZE);
#ifdef HAS_input1
    take_many(in, m_input1(&state), M_INPUT1_SIZE);
#endif
}

static void call_quantize(input *in)
{
    static float x[M_INPUT_SIZE];
    take_many(in, x, sizeof x);
#ifdef HAS_input1
    if (take_u8(in) & 1U) {
        m_quantize_input0(&state, x);
        m_quantize_input1(&state, x);
        return;
    }
#endif
    m_quantize_input(&state, x);
}
#endif

static void give_sample(input *in)
{
#ifdef HAS_feed_rows
    m_feed_restart(&state);
    static int8_t rows[M_INPUT_ROWS * M_ROW_SIZE];
    take_many(in, rows, sizeof rows);
    HOLDS(m_feed_rows(&state, rows, M_INPUT_ROWS) == TT_OK);
#else
    call_sample(in);
#endif
}

/* --- calls ----------------------------------------------------------------------------------- */

/* What refuses an argument did nothing. */
static void did_nothing(tt_status status)
{
    if (status == TT_ERROR_LABEL || status == TT_ERROR_TARGET || status == TT_ERROR_RATE) {
        HOLDS(memcmp(&before, &state, sizeof state) == 0);
    }
}

static void call_infer(input *in)
{
    static float output[M_OUTPUT_SIZE];
    int32_t prediction = 0;
    const uint8_t which = take_u8(in);
    const tt_status status =
        m_infer(&state, which & 1U ? output : NULL, which & 2U ? &prediction : NULL);
#ifdef HAS_feed_rows
    HOLDS(status == TT_OK || status == TT_ERROR_ROWS);
#else
    HOLDS(status == TT_OK);
#endif
    HOLDS(prediction >= 0 && prediction <= M_OUTPUT_SIZE);
}

static void call_evaluate(input *in)
{
    tt_result result = {0, 0};
    const target wanted = take_target(in);
    did_nothing(m_evaluate(&state, wanted, &result));
}

#ifdef HAS_train_step
static void call_train(input *in)
{
    tt_result result = {0, 0};
    const int is_told = take_u8(in) & 1U;
    const target wanted = take_target(in);
    did_nothing(m_train_step(&state, wanted, is_told ? &result : NULL));
}

static void call_rate(input *in)
{
    const float rate = take_float(in), old = m_learning_rate(&state);
    const tt_status status = m_set_learning_rate(&state, rate);
    HOLDS((status == TT_OK) == (rate >= 0.0f && rate <= M_RATE_LIMIT));
    HOLDS(status == TT_OK || m_learning_rate(&state) == old);
    did_nothing(status);
}
#endif

#ifdef HAS_replay_step
#ifdef REPLAY_IN_FLASH
static uint8_t flash[M_REPLAY_SLOTS][M_REPLAY_SLOT_BYTES];
static int flash_fails;

static int write_slot(void *context, uint32_t slot, size_t offset, const void *data, size_t size)
{
    (void)context;
    HOLDS(slot < M_REPLAY_SLOTS && offset + size <= M_REPLAY_SLOT_BYTES);
    memcpy(flash[slot] + offset, data, size);
    return flash_fails;
}

static int read_slot(void *context, uint32_t slot, size_t offset, void *data, size_t size)
{
    (void)context;
    HOLDS(slot < M_REPLAY_SLOTS && offset + size <= M_REPLAY_SLOT_BYTES);
    memcpy(data, flash[slot] + offset, size);
    return flash_fails;
}

#define WRITE_SLOT , write_slot, NULL
#define READ_SLOT , read_slot, NULL

/* What lies in flash is what somebody wrote there; its CRC may be right. */
static void call_flash(input *in)
{
    uint8_t *slot = flash[take_u8(in) % M_REPLAY_SLOTS];
    const size_t at = take_u16(in) % M_REPLAY_SLOT_BYTES;
    slot[at] = take_u8(in);
    const uint8_t how = take_u8(in);
    if (how & 4U) {
        m_erase_slots(write_slot, NULL);
    }
    flash_fails = how & 1U;
    if (how & 2U) {
        const uint32_t crc = tt_crc32(0, slot, M_REPLAY_SLOT_BYTES - 4);
        memcpy(slot + M_REPLAY_SLOT_BYTES - 4, &crc, sizeof crc);
    }
}
#else
#define WRITE_SLOT
#define READ_SLOT
#endif

#ifdef HAS_save_replay
/* A file of samples with a few other bytes, whose checksum may be right. */
static void call_samples(input *in)
{
    static file samples;
    samples.size = 0;
    samples.fails_at = sizeof samples.bytes;
    HOLDS(m_save_replay(&state, write_file, &samples) == TT_OK);
    const uint8_t how = take_u8(in);
    for (uint8_t changes = how % 8U; changes > 0; changes--) {
        samples.bytes[take_u16(in) % samples.size] = take_u8(in);
    }
    if (how & 8U) {
        const uint32_t crc = tt_crc32(0, samples.bytes, samples.size - 4);
        memcpy(samples.bytes + samples.size - 4, &crc, sizeof crc);
    }
    samples.size = how & 16U ? take_u16(in) % (samples.size + 1) : samples.size;
    const tt_status status = m_load_replay(&state, read_file, &samples);
    HOLDS(status != TT_ERROR_RESET);
    HOLDS(status == TT_OK || memcmp(&before, &state, sizeof state) == 0);
}
#endif

static void call_remember(input *in)
{
    const target wanted = take_target(in);
    did_nothing(m_remember(&state, wanted WRITE_SLOT));
}

static void call_train_and_remember(input *in)
{
    tt_result result;
    const target wanted = take_target(in);
    did_nothing(m_train_and_remember(&state, wanted, &result WRITE_SLOT));
}

static void call_replay(input *in)
{
    tt_result result;
    m_replay_step(&state, take_u8(in) & 1U ? &result : NULL READ_SLOT);
}

static void call_forget(input *in)
{
    (void)in;
    m_forget(&state);
    HOLDS(m_replay_step(&state, NULL READ_SLOT) != TT_OK);
}
#endif

#ifdef HAS_rehearse_step
static void call_rehearse(input *in)
{
    tt_result result;
    m_rehearse_step(&state, take_u8(in) & 1U ? &result : NULL);
}

static void call_evaluate_rehearsal(input *in)
{
    tt_metrics metrics;
    tt_metrics_reset(&metrics);
#if M_CLASSES > 0 && !defined(TARGET_PIXELS) && !defined(TARGET_FLOATS)
    static float recall[M_CLASSES];
    m_evaluate_rehearsal(&state, &metrics, take_u8(in) & 1U ? recall : NULL);
#else
    (void)in;
    m_evaluate_rehearsal(&state, &metrics);
#endif
}
#endif

#ifdef HAS_guard
static uint8_t guarded[M_SAVED_BYTES];
static tt_guard_memory guard_memory = {guarded, sizeof guarded, 0};

static void call_guard_look(input *in)
{
    const target wanted = take_target(in);
    did_nothing(m_guard_look(&state, wanted));
}

static void call_guard(input *in)
{
    const tt_guard_store store = tt_guard_in_memory(&guard_memory);
    tt_guard_report report;
    const uint8_t which = take_u8(in);
    if (which & 4U) { /* somebody writes into it */
        guarded[take_u16(in) % sizeof guarded] = take_u8(in);
    }
    if (which & 1U) {
        m_guard(&state, &store, which & 2U ? &report : NULL);
    } else {
        m_guard_finish(&state, &store, which & 2U ? &report : NULL);
    }
}

static void call_guard_reset(input *in)
{
    if (take_u8(in) & 1U || m_guard_is_due(&state)) {
        m_guard_reset(&state);
    }
}
#endif

#ifdef HAS_anomaly_watch
#ifdef ANOMALY_OF_ERROR
#define WATCHED , take_target(in)
#else
#define WATCHED
#endif

static void call_watch(input *in)
{
    tt_anomaly_result result;
    m_anomaly_watch(&state WATCHED, take_u8(in) & 1U ? &result : NULL);
}

static void call_watch_learn(input *in)
{
    tt_anomaly_result result;
    m_anomaly_learn(&state WATCHED, take_u8(in) & 1U ? &result : NULL);
}

static void call_watch_score(input *in)
{
    tt_anomaly_result result;
    m_anomaly_score(&state WATCHED, take_u8(in) & 1U ? &result : NULL);
}

static void call_watch_reset(input *in)
{
    (void)in;
    m_anomaly_reset(&state);
}
#endif

#ifdef HAS_enrol
static int32_t take_enrolled(input *in)
{
    const uint8_t value = take_u8(in);
    return value == 255 ? (int32_t)take_u32(in) : value % (M_ENROL_CLASSES + 2) - 1;
}

static void call_enrol(input *in)
{
    const int32_t label = take_enrolled(in);
    did_nothing(m_enrol(&state, label));
}

static void call_classify(input *in)
{
    (void)in;
    tt_enrol_result result = {0, 0, 0};
    const tt_status status = m_classify(&state, &result);
    HOLDS(status != TT_OK || (result.label >= 0 && result.label < M_ENROL_CLASSES));
}

static void call_forget_class(input *in)
{
    const int32_t label = take_enrolled(in);
    m_enrolled(&state, label);
    const tt_status status = m_forget_class(&state, label);
    HOLDS((status == TT_OK) == (label >= 0 && label < M_ENROL_CLASSES));
    HOLDS(m_enrolled(&state, label) == 0);
    did_nothing(status);
}

static void call_forget_all(input *in)
{
    (void)in;
    m_forget_all(&state);
}
#endif

#ifdef HAS_train_unlabelled
static void call_unlabelled(input *in)
{
    tt_pseudo_result result;
    tt_pseudo_counts counts;
    m_train_unlabelled(&state, take_u8(in) & 1U ? &result : NULL);
    m_unlabelled(&state, &counts);
}
#endif

#ifdef HAS_follow
static void call_follow(input *in)
{
    static float output[M_OUTPUT_SIZE];
    int32_t prediction;
    const uint8_t which = take_u8(in);
    m_follow(&state, which & 1U ? output : NULL, which & 2U ? &prediction : NULL);
}

static void call_follow_reset(input *in)
{
    (void)in;
    m_follow_reset(&state);
}
#endif

#ifdef HAS_health
static void call_health(input *in)
{
    tt_health health;
    m_health(&state, &health);
    for (size_t i = 0; i < M_UPDATES; i++) {
        HOLDS(m_update_names[i] != NULL && health.updates[i].lost <= health.updates[i].seen);
        m_at_end(&state, i);
    }
    HOLDS(health.input.clipped <= health.input.seen);
#ifdef HAS_class_health
    tt_class_health classes;
    m_class_health(&state, &classes);
    for (uint32_t i = 0; i < classes.class_count; i++) {
        tt_class_trend_of(&classes, i);
    }
#endif
    if (take_u8(in) & 1U) {
        m_health_reset(&state);
    }
}
#endif

static void call_init(input *in)
{
    if (take_u8(in) & 1U) {
        m_erase(&state);
    }
    m_init(&state);
    HOLDS(strlen(m_version()) > 0);
}

/* A file that cannot be written to its end is none, and the state stays. */
static void call_save(input *in)
{
    static file out;
    out.size = 0;
    out.fails_at = take_u16(in);
    const tt_status status = m_save(&state, write_file, &out);
    HOLDS(status == TT_OK || status == TT_ERROR_IO);
    HOLDS(memcmp(&before, &state, sizeof state) == 0);
}

static tt_early_stop stop;
static tt_metrics metrics;

static void call_early_stop(input *in)
{
    if (take_u8(in) & 1U) {
        const float delta = take_float(in);
        tt_early_stop_reset(&stop, delta, take_u8(in));
        tt_metrics_reset(&metrics);
    }
    const tt_result result = {take_float(in), (int32_t)take_u32(in)};
    tt_metrics_add(&metrics, &result, (int32_t)take_u32(in));
    HOLDS(metrics.correct <= metrics.count);
    HOLDS(tt_metrics_accuracy(&metrics) >= 0.0f && tt_metrics_accuracy(&metrics) <= 1.0f);
    tt_early_stop_add(&stop, result.loss);
}

#ifdef HAS_step_begin
static tt_result portion_result;

/* Of a step that lasts: what it points to stays as it is. */
static target keep_target(target wanted)
{
#if defined(TARGET_PIXELS)
    static uint8_t kept[M_PIXELS];
    return memcpy(kept, wanted, sizeof kept);
#elif defined(TARGET_FLOATS)
    static float kept[M_OUTPUT_SIZE];
    return memcpy(kept, wanted, sizeof kept);
#else
    return wanted;
#endif
}

static void call_step_begin(input *in)
{
    if (m_step_progress(&state) < 256) {
        HOLDS(m_step_begin(&state, take_target(in), NULL) == TT_ERROR_STEP);
        return;
    }
    const target wanted = keep_target(take_target(in));
    did_nothing(m_step_begin(&state, wanted, take_u8(in) & 1U ? &portion_result : NULL));
}

#ifdef HAS_replay_begin
static void call_remember_begin(input *in)
{
    const int is_stepping = m_step_progress(&state) < 256;
    const target given = take_target(in);
    const target wanted = is_stepping ? given : keep_target(given);
    tt_result *const told = take_u8(in) & 1U ? &portion_result : NULL;
    const tt_status status = m_train_and_remember_begin(&state, wanted, told WRITE_SLOT);
    HOLDS(!is_stepping || status == TT_ERROR_STEP);
    did_nothing(status);
}

static void call_replay_begin(input *in)
{
    const int is_stepping = m_step_progress(&state) < 256;
    tt_result *const told = take_u8(in) & 1U ? &portion_result : NULL;
    const tt_status status = m_replay_begin(&state, told READ_SLOT);
    HOLDS(!is_stepping || status == TT_ERROR_STEP);
    HOLDS(is_stepping || status == TT_OK || status == TT_ERROR_EMPTY);
    did_nothing(status);
}
#endif

#ifdef HAS_rehearse_begin
static void call_rehearse_begin(input *in)
{
    const int is_stepping = m_step_progress(&state) < 256;
    const tt_status status = m_rehearse_begin(&state, take_u8(in) & 1U ? &portion_result : NULL);
    HOLDS(status == (is_stepping ? TT_ERROR_STEP : TT_OK));
    did_nothing(status);
}
#endif

static void call_step_run(input *in)
{
    const uint32_t instructions = take_u32(in) >> take_u8(in) % 32U;
    const int is_stepping = m_step_progress(&state) < 256;
    const tt_status status = m_step_run(&state, instructions);
    HOLDS(is_stepping || status == TT_ERROR_STEP);
    HOLDS((status == TT_MORE) == (m_step_progress(&state) < 256));
}

static void call_step_cancel(input *in)
{
    (void)in;
    m_step_cancel(&state);
    HOLDS(m_step_progress(&state) == 256 && m_step_cancel(&state) == TT_ERROR_STEP);
}

/* Whatever needs the arena or the weights is refused while a step lasts. */
static void call_meanwhile(input *in)
{
    static file out;
    if (m_step_progress(&state) == 256) {
        return;
    }
    out.size = 0;
    out.fails_at = sizeof out.bytes;
    tt_result result;
    HOLDS(m_infer(&state, NULL, NULL) == TT_ERROR_STEP);
    HOLDS(m_evaluate(&state, take_target(in), &result) == TT_ERROR_STEP);
    HOLDS(m_save(&state, write_file, &out) == TT_ERROR_STEP && out.size == 0);
    HOLDS(m_load(&state, read_file, &out) == TT_ERROR_STEP);
    HOLDS(m_load_old(&state, read_file, &out) == TT_ERROR_STEP);
#ifdef HAS_replay_begin
    HOLDS(m_remember(&state, take_target(in) WRITE_SLOT) == TT_ERROR_STEP);
    HOLDS(m_replay_step(&state, NULL READ_SLOT) == TT_ERROR_STEP);
#endif
#ifdef HAS_rehearse_begin
    HOLDS(m_rehearse_step(&state, NULL) == TT_ERROR_STEP);
#endif
#ifdef HAS_guard
    const tt_guard_store store = tt_guard_in_memory(&guard_memory);
    HOLDS(m_guard_look(&state, take_target(in)) == TT_ERROR_STEP);
    HOLDS(m_guard(&state, &store, NULL) == TT_ERROR_STEP);
    HOLDS(m_guard_finish(&state, &store, NULL) == TT_ERROR_STEP);
#endif
    HOLDS(memcmp(&before, &state, sizeof state) == 0);
}

#ifdef HAS_concurrent_infer
/* Nothing but its own arena changes, whether a step lasts or not. */
static void call_concurrent(input *in)
{
    static float x[M_INPUT_SIZE], output[M_OUTPUT_SIZE];
    int32_t prediction = 0;
    const uint8_t which = take_u8(in);
    if (which & 4U) {
        take_many(in, x, sizeof x);
        m_concurrent_quantize_input(&state, x);
    } else {
        take_many(in, m_concurrent_input(&state), M_INPUT_SIZE);
    }
    HOLDS(m_concurrent_infer(&state, which & 1U ? output : NULL, which & 2U ? &prediction : NULL) ==
          TT_OK);
    HOLDS(prediction >= 0 && prediction <= M_OUTPUT_SIZE);
    memcpy(&before.concurrent, &state.concurrent, sizeof before.concurrent);
    HOLDS(memcmp(&before, &state, sizeof state) == 0);
}

enum { CONCURRENT_CALLS = 1 };
#else
enum { CONCURRENT_CALLS = 0 };
#endif
#ifdef HAS_replay_begin
enum { REPLAY_CALLS = 2 };
#else
enum { REPLAY_CALLS = 0 };
#endif
#ifdef HAS_rehearse_begin
enum { REHEARSE_CALLS = 1 };
#else
enum { REHEARSE_CALLS = 0 };
#endif
/* The first ones. */
enum { STEP_CALLS = 4 + CONCURRENT_CALLS + REPLAY_CALLS + REHEARSE_CALLS };
#endif

static void (*const CALLS[])(input *) = {
#ifdef HAS_step_begin
    call_step_begin,     call_step_run,
    call_step_cancel,    call_meanwhile,
#endif
#ifdef HAS_concurrent_infer
    call_concurrent,
#endif
#ifdef HAS_replay_begin
    call_remember_begin, call_replay_begin,
#endif
#ifdef HAS_rehearse_begin
    call_rehearse_begin,
#endif
    give_sample,         call_infer,
    call_evaluate,
#ifdef HAS_feed_rows
    call_feed,           call_feed_real,
    call_feed_restart,
#else
    call_sample, call_quantize,
#endif
#ifdef HAS_train_step
    call_train,          call_train,
    call_rate,
#endif
#ifdef HAS_replay_step
    call_remember,       call_train_and_remember,
    call_replay,         call_forget,
#endif
#ifdef HAS_save_replay
    call_samples,
#endif
#ifdef REPLAY_IN_FLASH
    call_flash,
#endif
#ifdef HAS_rehearse_step
    call_rehearse,       call_evaluate_rehearsal,
#endif
#ifdef HAS_guard
    call_guard_look,     call_guard,
    call_guard_reset,
#endif
#ifdef HAS_anomaly_watch
    call_watch,          call_watch_learn,
    call_watch_score,    call_watch_reset,
#endif
#ifdef HAS_enrol
    call_enrol,          call_classify,
    call_forget_class,   call_forget_all,
#endif
#ifdef HAS_train_unlabelled
    call_unlabelled,
#endif
#ifdef HAS_follow
    call_follow,         call_follow_reset,
#endif
#ifdef HAS_health
    call_health,
#endif
    call_init,           call_save,
    call_early_stop,
};

/* Nothing of one input is left to the next one, so that each ends the same way alone. */
static void forget_inputs(void)
{
    memset(&stop, 0, sizeof stop);
    memset(&metrics, 0, sizeof metrics);
#ifdef REPLAY_IN_FLASH
    memset(flash, 0xff, sizeof flash);
    flash_fails = 0;
#endif
#ifdef HAS_guard
    memset(guarded, 0, sizeof guarded);
    guard_memory.at = 0;
#endif
}

/* Calls until the input ends, 64 at most. What a device is left with afterwards it can save, and
 * load again. */
static void make_calls(input *in)
{
    for (int i = 0; i < 64 && in->left > 0; i++) {
        const size_t which = take_u8(in) % (sizeof CALLS / sizeof CALLS[0]);
#ifdef HAS_step_begin
        if (which >= STEP_CALLS && m_step_progress(&state) < 256) {
            m_step_cancel(&state);
        }
#endif
        memcpy(&before, &state, sizeof state);
        CALLS[which](in);
    }
#ifdef HAS_step_begin
    m_step_cancel(&state);
#endif
    static file first, second;
    static m_state again;
    save(&state, &first);
    HOLDS(m_check(read_file, &first) == TT_OK);
    m_init(&again);
    HOLDS(m_load(&again, read_file, &first) == TT_OK);
    save(&again, &second);
    HOLDS(first.size == second.size && memcmp(first.bytes, second.bytes, first.size) == 0);
}

#endif
