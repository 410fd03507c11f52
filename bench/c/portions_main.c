/* Instructions of each portion of a training step, and of the step: MODEL is the model's prefix in
 * small letters, CAPITALS in large ones. Prints a line for each portion of the second step, the
 * first of which the caches of an emulator do not matter to; with CONCURRENT one more for an
 * inference in between. With KEPT the sample is offered to a replay buffer, and behind a line of
 * zero follow the portions of a step on a sample of it, and behind another one those of a step on a
 * sample of the rehearsal set. */
#include <stdint.h>

#include MODEL_HEADER
#include "tt_port.h"

#define JOINED(model, name) model##_##name
#define OF(model, name) JOINED(model, name)
#define FN(name) OF(MODEL, name)

static OF(MODEL, state) state;

static void put_number(uint64_t number)
{
    char digits[21] = {0};
    size_t at = sizeof digits - 1;
    do {
        digits[--at] = (char)('0' + number % 10U);
        number /= 10U;
    } while (number != 0);
    tt_port_print(digits + at);
    tt_port_print("\n");
}

static void fill(void)
{
    int8_t *const x = FN(input)(&state);
    for (uint32_t i = 0, seed = 1; i < INPUT_SIZE; i++) {
        seed = seed * 1664525U + 1013904223U;
        x[i] = (int8_t)(seed >> 24);
    }
}

#ifdef PORTIONS
static void run(tt_status begun, int is_told)
{
    tt_status status = begun == TT_OK ? TT_MORE : begun;
    while (status == TT_MORE) {
        const uint64_t start = tt_port_instructions();
        status = FN(step_run)(&state, 0);
        if (is_told) {
            put_number(tt_port_instructions() - start);
        }
    }
}
#endif

int main(void)
{
    FN(init)(&state);
    (void)tt_port_instructions();
    for (int step = 0; step < 2; step++) {
        fill();
#ifdef PORTIONS
#ifdef KEPT
        run(FN(train_and_remember_begin)(&state, 0, NULL), step == 1);
        if (step == 1) {
            put_number(0);
        }
        run(FN(replay_begin)(&state, NULL), step == 1);
        if (step == 1) {
            put_number(0);
        }
        run(FN(rehearse_begin)(&state, NULL), step == 1);
#else
        run(FN(step_begin)(&state, 0, NULL), step == 1);
#endif
#ifdef CONCURRENT
        const uint64_t begin = tt_port_instructions();
        (void)FN(concurrent_infer)(&state, NULL, NULL);
        if (step == 1) {
            put_number(tt_port_instructions() - begin);
        }
#endif
#else
        const uint64_t start = tt_port_instructions();
        (void)FN(train_step)(&state, 0, NULL);
        if (step == 1) {
            put_number(tt_port_instructions() - start);
        }
#endif
    }
    return 0;
}
