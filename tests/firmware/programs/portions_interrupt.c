/* A timer interrupt infers in the middle of a step, with another state of the model; for a Cortex-M
 * with a SysTick. Prints `ok N`, N interrupts; anything else is a failure. */
#include <stdint.h>
#include <string.h>

#include "small_samples.h"
#include "tt_port.h"

#define VTOR (*(volatile uint32_t *)0xE000ED08U)
#define SYSTICK ((volatile uint32_t *)0xE000E010U) /* control, reload, current */
#define PENDING (*(volatile uint32_t *)0xE000ED04U)
#define CLEAR_TICK (1U << 25)
#define RUN 7U /* on, with its interrupt, by the core's clock */

static small_state state, whole, other;
static float expected[SMALL_OUTPUT_SIZE];
static volatile uint32_t interrupts, wrong, is_training;
_Alignas(128) static uint32_t vectors[16];

static void start_timer(uint32_t ticks)
{
    SYSTICK[1] = ticks;
    SYSTICK[2] = 0;
    PENDING = CLEAR_TICK;
    SYSTICK[0] = is_training ? RUN : 0U;
}

static void on_tick(void)
{
    float output[SMALL_OUTPUT_SIZE];
    static uint32_t progress, of_step;
    const uint32_t now = small_step_progress(&state);
    SYSTICK[0] = 0; /* an inference takes longer than the timer waits */
    fill(&other, 3);
    wrong += small_infer(&other, output, NULL) != TT_OK;
    wrong += memcmp(output, expected, sizeof output) != 0;
    wrong += now > 256U || (now < progress && of_step == state.step.count);
    progress = now;
    of_step = state.step.count;
    interrupts++;
    start_timer(5U + interrupts * 7919U % 97U); /* at other places each time */
}

static void end(const char *text)
{
    tt_port_print(text);
    tt_port_exit(1);
}

int main(void)
{
    small_init(&state);
    small_init(&whole);
    small_init(&other);
    fill(&other, 3);
    (void)small_infer(&other, expected, NULL);
    memcpy(vectors, (const void *)(uintptr_t)VTOR, sizeof vectors);
    vectors[15] = (uint32_t)(uintptr_t)on_tick;
    VTOR = (uint32_t)(uintptr_t)vectors;
    for (uint32_t step = 0; step < 12; step++) {
        tt_result found = {0}, wanted = {0};
        tt_status status;
        fill(&whole, step);
        if (small_train_step(&whole, 1, &wanted) != TT_OK) {
            end("a whole step failed\n");
        }
        fill(&state, step);
        if (small_step_begin(&state, 1, &found) != TT_OK) {
            end("no step began\n");
        }
        is_training = 1;
        start_timer(11);
        do {
            status = small_step_run(&state, draw(20000));
        } while (status == TT_MORE);
        is_training = 0;
        SYSTICK[0] = 0;
        if (status != TT_OK || memcmp(&found, &wanted, sizeof found) != 0 ||
            memcmp(&state, &whole, offsetof(small_state, portion)) != 0) {
            end("the step is another one\n");
        }
    }
    if (wrong != 0 || interrupts < 100) {
        end("an inference was wrong, or there were too few\n");
    }
    tt_port_print("ok\n");
    return 0;
}
