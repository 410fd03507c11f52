/* Instructions of a Cortex-M that an emulator runs, counted by SysTick. */
#include "tt_port.h"

/* Quarters of an instruction in one SysTick tick: 160 at 25 MHz where an instruction takes one
 * nanosecond, 125 at 32 MHz. 0: a tick is not a number of instructions here. */
#ifndef TT_INSTRUCTIONS_PER_TICK_X4
#define TT_INSTRUCTIONS_PER_TICK_X4 0
#endif

#if TT_INSTRUCTIONS_PER_TICK_X4

#include "systick.inc.h"

uint64_t tt_port_instructions(void)
{
    static uint64_t start;
    if (start == 0U) {
        systick_begin();
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
