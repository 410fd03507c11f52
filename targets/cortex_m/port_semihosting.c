/* The port for Cortex-M under QEMU, or on a board with a debug probe that serves semihosting. */
#include "tt_port.h"
#include "tt_semihosting.h"

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

static int console = -1;

static uint32_t text_length(const char *text)
{
    uint32_t length = 0;
    while (text[length] != '\0') {
        length++;
    }
    return length;
}

static int open_mode(const char *path, uint32_t mode)
{
    const struct {
        const char *path;
        uint32_t mode;
        uint32_t length;
    } block = {path, mode, text_length(path)};
    return (int)tt_semihosting(TT_SYS_OPEN, &block);
}

/* Returns 0 when the host says that no byte is left over. */
static int transfer(uint32_t operation, int handle, const void *data, size_t size)
{
    const struct {
        int handle;
        const void *data;
        size_t size;
    } block = {handle, data, size};
    if (handle < 0) {
        return -1;
    }
    return tt_semihosting(operation, &block) == 0 ? 0 : -1;
}

int tt_port_open(const char *path, int for_writing)
{
    /* Modes of C's fopen by number: 1 is "rb", 7 is "w+b". */
    return open_mode(path, for_writing ? 7 : 1);
}

int tt_port_read(int handle, void *data, size_t size)
{
    return transfer(TT_SYS_READ, handle, data, size);
}

int tt_port_write(int handle, const void *data, size_t size)
{
    return transfer(TT_SYS_WRITE, handle, data, size);
}

int tt_port_seek(int handle, size_t offset)
{
    const struct {
        int handle;
        size_t offset;
    } block = {handle, offset};
    return handle >= 0 && tt_semihosting(TT_SYS_SEEK, &block) == 0 ? 0 : -1;
}

void tt_port_close(int handle)
{
    if (handle >= 0) {
        (void)tt_semihosting(TT_SYS_CLOSE, &handle);
    }
}

void tt_port_print(const char *text)
{
    /* SYS_WRITE0 would go to standard error under QEMU; ":tt" opened for writing (mode 4, "w") is
     * standard output. */
    if (console < 0) {
        console = open_mode(":tt", 4);
    }
    (void)transfer(TT_SYS_WRITE, console, text, text_length(text));
}

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

_Noreturn void tt_port_exit(int code)
{
    const uint32_t block[2] = {TT_STOPPED_APPLICATION_EXIT, (uint32_t)code};
    for (;;) {
        (void)tt_semihosting(TT_SYS_EXIT_EXTENDED, block);
    }
}
