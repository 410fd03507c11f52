/* Instructions of a RISC-V core that an emulator runs: it counts them itself. */
#include "tt_port.h"

/* Quarters of an instruction in what the counter counts; 0 where nobody has looked. */
#ifndef TT_INSTRUCTIONS_PER_TICK_X4
#define TT_INSTRUCTIONS_PER_TICK_X4 0
#endif

#if TT_INSTRUCTIONS_PER_TICK_X4

/* The extension is part of every core with counters, and not of the name of every core's set. */
#define READ_COUNTER(name, value)                                                         \
    __asm volatile(".option push\n.option arch, +zicsr\ncsrr %0, " name "\n.option pop\n" \
                   : "=r"(value))

static uint64_t retired(void)
{
    uint32_t high, low, again;
    do {
        READ_COUNTER("minstreth", high);
        READ_COUNTER("minstret", low);
        READ_COUNTER("minstreth", again);
    } while (high != again);
    return (uint64_t)high << 32 | low;
}

uint64_t tt_port_instructions(void)
{
    static uint64_t start;
    if (start == 0U) {
        /* Start-up has executed some: never 0. */
        start = retired();
    }
    return (retired() - start) * TT_INSTRUCTIONS_PER_TICK_X4 / 4U;
}

#else

uint64_t tt_port_instructions(void)
{
    return 0;
}

#endif
