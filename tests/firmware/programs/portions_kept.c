/* Steps in portions on samples that are kept, as an application begins them; prints `ok`, anything
 * else is a failure. Two states of one model: `whole` calls the functions that do all at once,
 * `state` runs the same in portions of all sizes. With slots in flash each has a flash of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "holds.h"
#include "memory_file.h"
#include "small_samples.h"

#ifndef WINDOW
#define WINDOW 1U /* steps of an accumulation window */
#endif

static small_state state, whole, before;
static memory_file file, second;

#if SMALL_CLASSES > 0
typedef int32_t target;
static target draw_target(void)
{
    return (target)draw(SMALL_CLASSES);
}
#else
typedef const float *target;
static target draw_target(void)
{
    static float targets[4][SMALL_OUTPUT_SIZE];
    float *const drawn = targets[draw(4)]; /* it stays while a step needs it */
    drawn[0] = (float)draw(8);
    return drawn;
}
#endif

typedef enum { NEW, REMEMBERED, REPLAYED, REHEARSED, KINDS } step_kind;

#ifdef IN_FLASH
typedef uint8_t flash[SMALL_REPLAY_SLOTS][SMALL_REPLAY_SLOT_BYTES];
static flash own, others, own_before;
static int fails_in = -1; /* that many pieces from now; -1: never */

static int write_slot(void *context, uint32_t slot, size_t offset, const void *data, size_t size)
{
    HOLDS(slot < SMALL_REPLAY_SLOTS && offset + size <= SMALL_REPLAY_SLOT_BYTES);
    memcpy((*(flash *)context)[slot] + offset, data, size);
    return fails_in >= 0 && fails_in-- == 0;
}

static int read_slot(void *context, uint32_t slot, size_t offset, void *data, size_t size)
{
    HOLDS(slot < SMALL_REPLAY_SLOTS && offset + size <= SMALL_REPLAY_SLOT_BYTES);
    memcpy(data, (*(flash *)context)[slot] + offset, size);
    return fails_in >= 0 && fails_in-- == 0;
}

#define WRITE(of) , write_slot, &of
#define READ(of) , read_slot, &of
#else
#define WRITE(of)
#define READ(of)
#endif

static int has(step_kind kind)
{
#ifdef SMALL_REPLAY_SLOTS
    const int replays = 1;
#else
    const int replays = 0;
#endif
#ifdef SMALL_REHEARSAL_SLOTS
    const int rehearses = 1;
#else
    const int rehearses = 0;
#endif
    return kind == NEW || (kind == REHEARSED ? rehearses : replays);
}

static tt_status begin(step_kind kind, target wanted, tt_result *result)
{
    switch (kind) {
#ifdef SMALL_REPLAY_SLOTS
    case REMEMBERED:
        return small_train_and_remember_begin(&state, wanted, result WRITE(own));
    case REPLAYED:
        return small_replay_begin(&state, result READ(own));
#endif
#ifdef SMALL_REHEARSAL_SLOTS
    case REHEARSED:
        return small_rehearse_begin(&state, result);
#endif
    default:
        return small_step_begin(&state, wanted, result);
    }
}

static tt_status do_at_once(step_kind kind, target wanted, tt_result *result)
{
    switch (kind) {
#ifdef SMALL_REPLAY_SLOTS
    case REMEMBERED:
        return small_train_and_remember(&whole, wanted, result WRITE(others));
    case REPLAYED:
        return small_replay_step(&whole, result READ(others));
#endif
#ifdef SMALL_REHEARSAL_SLOTS
    case REHEARSED:
        return small_rehearse_step(&whole, result);
#endif
    default:
        return small_train_step(&whole, wanted, result);
    }
}

/* The samples, or nothing where there are none in RAM. */
static void save_samples(const small_state *from, memory_file *to)
{
#if defined SMALL_REPLAY_SLOTS && !defined IN_FLASH
    HOLDS(small_save_replay(from, write_file, to) == TT_OK);
#else
    (void)from;
    (void)to;
#endif
}

/* What saved files hold. */
static int are_equal(const small_state *a, const small_state *b)
{
    file.size = second.size = 0;
    HOLDS(small_save(a, write_file, &file) == TT_OK);
    HOLDS(small_save(b, write_file, &second) == TT_OK);
    save_samples(a, &file);
    save_samples(b, &second);
    return files_equal(&file, &second);
}

static void follow_state(void)
{
    memcpy(&whole, &state, sizeof state);
#ifdef IN_FLASH
    memcpy(others, own, sizeof own);
#endif
}

#ifdef IN_BETWEEN
/* On the state that trains: the same until the first update, whatever the step is on. */
static void infer_in_between(int is_first)
{
    static float first[SMALL_OUTPUT_SIZE];
    float output[SMALL_OUTPUT_SIZE];
    for (size_t i = 0; i < SMALL_INPUT_SIZE; i++) {
        small_concurrent_input(&state)[i] = (int8_t)(i * 37U % 256U - 128U);
    }
    HOLDS(small_concurrent_infer(&state, output, NULL) == TT_OK);
    if (is_first) {
        memcpy(first, output, sizeof first);
    }
    HOLDS(state.portion.place.is_changed || memcmp(first, output, sizeof first) == 0);
}
#else
static void infer_in_between(int is_first)
{
    (void)is_first;
}
#endif

/* Budgets from a single portion to all of them; returns the calls. */
static uint32_t run(tt_status wanted)
{
    const uint32_t most = 1U << draw(24);
    uint32_t calls = 0, progress = 0;
    tt_status status;
    do {
        HOLDS(small_step_progress(&state) >= progress && small_step_progress(&state) < 256);
        progress = small_step_progress(&state);
        infer_in_between(calls == 0);
        status = small_step_run(&state, draw(most));
        calls++;
    } while (status == TT_MORE);
    HOLDS(status == wanted && small_step_progress(&state) == 256);
    HOLDS(calls <= SMALL_PORTIONS);
    return calls;
}

static void any_cut_gives_the_same(uint32_t steps)
{
    for (uint32_t step = 0; step < steps; step++) {
        const step_kind kind = (step_kind)draw(KINDS);
        if (!has(kind)) {
            continue;
        }
        tt_result found = {0}, wanted = {0};
        const target to = draw_target();
        const uint32_t seed = draw(1U << 20);
        fill(&state, seed);
        fill(&whole, seed);
        const tt_status status = do_at_once(kind, to, &wanted);
        const tt_status begun = begin(kind, to, &found);
        HOLDS(begun == status);
        if (status == TT_OK) {
            run(TT_OK);
        } else {
            HOLDS(kind == REPLAYED && status == TT_ERROR_EMPTY);
        }
        HOLDS(found.loss == wanted.loss && found.prediction == wanted.prediction);
        HOLDS(are_equal(&state, &whole));
#ifdef IN_FLASH
        HOLDS(memcmp(own, others, sizeof own) == 0);
#endif
    }
}

/* Portions of a step of this kind, of a state that is `whole` afterwards. */
static uint32_t portions_of(step_kind kind)
{
    uint32_t calls = 1;
    fill(&state, 3);
    HOLDS(begin(kind, draw_target(), NULL) == TT_OK);
    for (tt_status status; (status = small_step_run(&state, 0)) != TT_OK; calls++) {
        HOLDS(status == TT_MORE);
    }
    follow_state();
    return calls;
}

static void remember(small_state *into, uint32_t seed, target wanted)
{
#ifdef SMALL_REPLAY_SLOTS
    fill(into, seed);
    HOLDS(small_remember(into, wanted WRITE(others)) == TT_OK);
#else
    (void)into;
    (void)seed;
    (void)wanted;
#endif
}

static uint32_t draws_of(const small_state *of)
{
#ifdef SMALL_REPLAY_SLOTS
    return of->replay->draws;
#else
    return (uint32_t)of->step.count;
#endif
}

static uint32_t rehearsed_of(const small_state *of)
{
#ifdef SMALL_REHEARSAL_SLOTS
    return of->rehearsed[0];
#else
    return (uint32_t)of->step.count;
#endif
}

/* At every place: the buffer is as it was or has the whole sample, and a step that has changed
 * nothing is as if it had not begun. */
static void a_cancelled_step(step_kind kind)
{
    const uint32_t portions = portions_of(kind);
    int partly = 0, kept = 0;
    for (uint32_t at = 0; at < portions; at++) {
        /* A step that is the last of its window has portions that others have not. */
        const target wanted = draw_target();
        const uint32_t count = state.step.count;
        fill(&state, at);
        memcpy(&before, &state, sizeof state);
        follow_state();
#ifdef IN_FLASH
        memcpy(own_before, own, sizeof own);
#endif
        HOLDS(begin(kind, wanted, NULL) == TT_OK);
        tt_status ran = TT_MORE;
        for (uint32_t done = 0; done < at && ran == TT_MORE; done++) {
            ran = small_step_run(&state, 0);
        }
        if (ran == TT_OK) {
            HOLDS(WINDOW > 1U);
            break;
        }
        HOLDS(ran == TT_MORE);
        const tt_status status = small_step_cancel(&state);
        HOLDS(status == TT_OK || (status == TT_PARTLY && at > 0));
        HOLDS(status == TT_PARTLY || !partly);
        partly |= status == TT_PARTLY;
        HOLDS(state.step.count == count && state.step.rate == before.step.rate);
        if (kind == REMEMBERED) {
            /* `whole` has it by the function that does nothing else. */
            remember(&whole, at, wanted);
            file.size = second.size = 0;
            save_samples(&state, &file);
            save_samples(&whole, &second);
            int is_kept = files_equal(&file, &second);
#ifdef IN_FLASH
            is_kept = memcmp(&state.replay, &whole.replay, sizeof whole.replay) == 0 &&
                      memcmp(state.replay_classes, whole.replay_classes,
                             sizeof whole.replay_classes) == 0 &&
                      memcmp(own, others, sizeof own) == 0;
            HOLDS(is_kept || memcmp(own, own_before, sizeof own) == 0);
#endif
            HOLDS(is_kept || !kept);
            HOLDS(is_kept || are_equal(&state, &before));
            HOLDS(partly || !is_kept || are_equal(&state, &whole));
            HOLDS(is_kept || !partly);
            kept |= is_kept;
        } else {
            HOLDS(partly || are_equal(&state, &before));
            /* A sample that has changed something has had its turn. */
            HOLDS(draws_of(&state) == draws_of(&before) + (partly && kind == REPLAYED));
            HOLDS(rehearsed_of(&state) == rehearsed_of(&before) + (partly && kind == REHEARSED));
        }
        follow_state();
        any_cut_gives_the_same(2);
    }
    HOLDS(partly && kept == (kind == REMEMBERED));
}

/* Nothing but a step's own functions touches it. */
static void others_are_refused(step_kind kind)
{
    file.size = second.size = 0;
    save_samples(&state, &file);
    fill(&state, 5);
    HOLDS(begin(kind, draw_target(), NULL) == TT_OK);
    for (tt_status status = TT_MORE; status == TT_MORE; status = small_step_run(&state, 0)) {
        memcpy(&before, &state, sizeof state);
        for (step_kind other = NEW; other < KINDS; other++) {
            HOLDS(!has(other) || begin(other, draw_target(), NULL) == TT_ERROR_STEP);
        }
        HOLDS(small_train_step(&state, draw_target(), NULL) == TT_ERROR_STEP);
#ifdef SMALL_REPLAY_SLOTS
        HOLDS(small_remember(&state, draw_target() WRITE(own)) == TT_ERROR_STEP);
        HOLDS(small_train_and_remember(&state, draw_target(), NULL WRITE(own)) == TT_ERROR_STEP);
        HOLDS(small_replay_step(&state, NULL READ(own)) == TT_ERROR_STEP);
#ifndef IN_FLASH
        HOLDS(small_save_replay(&state, write_file, &second) == TT_ERROR_STEP);
        HOLDS(small_load_replay(&state, read_file, &file) == TT_ERROR_STEP);
#endif
#endif
#ifdef SMALL_REHEARSAL_SLOTS
        tt_metrics metrics;
        HOLDS(small_rehearse_step(&state, NULL) == TT_ERROR_STEP);
#if SMALL_CLASSES > 0
        HOLDS(small_evaluate_rehearsal(&state, &metrics, NULL) == TT_ERROR_STEP);
#else
        HOLDS(small_evaluate_rehearsal(&state, &metrics) == TT_ERROR_STEP);
#endif
#endif
        HOLDS(memcmp(&before, &state, sizeof state) == 0);
    }
    HOLDS(small_step_run(&state, 0) == TT_ERROR_STEP);
    follow_state();
}

#ifdef SMALL_REPLAY_SLOTS
/* Neither is what was forgotten trained on, nor does what is under way come into the buffer. */
static void what_is_forgotten(void)
{
    HOLDS(begin(REMEMBERED, draw_target(), NULL) == TT_OK);
    HOLDS(small_step_run(&state, UINT32_MAX) == TT_OK);
    for (step_kind kind = REMEMBERED; kind <= REPLAYED; kind++) {
        memcpy(&before, &state, sizeof state);
        HOLDS(begin(kind, draw_target(), NULL) == TT_OK);
        small_forget(&state);
        HOLDS(small_step_run(&state, 0) == TT_ERROR_STEP);
        HOLDS(begin(REPLAYED, draw_target(), NULL) == TT_ERROR_EMPTY);
        HOLDS(state.step.count == before.step.count);
        memcpy(&state, &before, sizeof state);
    }
    follow_state();
}
#endif

#ifdef IN_FLASH
/* At the portion that keeps or takes a sample; the step has ended, and trained nothing. */
static void callbacks_fail(void)
{
    for (int piece = 0; piece < 3; piece++) { /* target, the only span, CRC */
        for (uint32_t i = 0; i < 4 * SMALL_REPLAY_SLOTS; i++) {
            const step_kind kind = i % 2 == 0 ? REMEMBERED : REPLAYED;
            memcpy(&before, &state, sizeof state);
            fill(&state, i);
            HOLDS(begin(kind, draw_target(), NULL) == TT_OK);
            fails_in = piece;
            tt_status status;
            while ((status = small_step_run(&state, 0)) == TT_MORE) {
            }
            /* One that is not to be kept is not written. */
            HOLDS(status == TT_ERROR_IO || (kind == REMEMBERED && fails_in >= 0));
            if (status == TT_ERROR_IO) {
                HOLDS(small_step_run(&state, 0) == TT_ERROR_STEP);
                before.replay->draws = state.replay->draws;
                HOLDS(are_equal(&state, &before));
            }
            fails_in = -1;
        }
    }
    own[0][0] ^= 1;
    for (tt_status status = TT_OK; status != TT_ERROR_CRC;) { /* until its turn comes */
        HOLDS(status == TT_OK);
        HOLDS(begin(REPLAYED, draw_target(), NULL) == TT_OK);
        status = small_step_run(&state, UINT32_MAX);
    }
}
#endif

int main(void)
{
    memset(&state, 0xa5, sizeof state);
    memset(&whole, 0x5a, sizeof whole);
    small_init(&state);
    small_init(&whole);
    any_cut_gives_the_same(60);
    for (step_kind kind = NEW; kind < KINDS; kind++) {
        if (has(kind)) {
            a_cancelled_step(kind);
            others_are_refused(kind);
        }
    }
#ifdef SMALL_REPLAY_SLOTS
    what_is_forgotten();
#endif
#ifdef IN_FLASH
    callbacks_fail();
#endif
    puts("ok");
    return 0;
}
