/* Instructions of a Cortex-M that an emulator runs, counted by SysTick. */
#include "tt_port.h"

/* Quarters of an instruction in one SysTick tick: 160 at 25 MHz where an instruction takes one
 * nanosecond, 125 at 32 MHz. 0: a tick is not a number of instructions here. */
#ifndef TT_INSTRUCTIONS_PER_TICK_X4
#define TT_INSTRUCTIONS_PER_TICK_X4 0
#endif

#define SYSTICK_CONTROL (*(volatile uint32_t *)0xE000E010U)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xE000E014U)
#define SYSTICK_VALUE (*(volatile uint32_t *)0xE000E018U)
#define SYSTICK_ENABLE_INTERRUPT_CORE_CLOCK 7U
#define SYSTICK_MASK 0xFFFFFFU

#if TT_INSTRUCTIONS_PER_TICK_X4

static volatile uint32_t systick_wraps;

void SysTick_Handler(void);
void SysTick_Handler(void)
{
    systick_wraps++;
}

static uint64_t systick_ticks(void)
{
    uint32_t wraps;
    uint32_t value;
    /* The counter falls from 2^24 - 1 to 0 and interrupts at 0. A wrap between the two readings, or
     * a 0 whose interrupt is still on its way, would be off by 2^24 ticks: read again. */
    do {
        wraps = systick_wraps;
        value = SYSTICK_VALUE;
    } while (value == 0U || wraps != systick_wraps);
    return (uint64_t)wraps * (SYSTICK_MASK + 1U) + (SYSTICK_MASK + 1U - value);
}

uint64_t tt_port_instructions(void)
{
    static uint64_t start;
    if (start == 0U) {
        SYSTICK_RELOAD = SYSTICK_MASK;
        SYSTICK_VALUE = 0U;
        SYSTICK_CONTROL = SYSTICK_ENABLE_INTERRUPT_CORE_CLOCK;
        /* The counter loads on its first tick, so the first reading is not a duration; it is
         * never 0. */
        start = systick_ticks();
    }
    /* Below 2^64 for 2^54 ticks (X4 < 2^10), some 22 years at 25 MHz. */
    return (systick_ticks() - start) * TT_INSTRUCTIONS_PER_TICK_X4 / 4U;
}

#else

uint64_t tt_port_instructions(void)
{
    return 0;
}

#endif
