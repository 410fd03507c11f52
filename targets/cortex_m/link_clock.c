/* SysTick, which counts the core's clock down from 2^24 - 1, and its interrupts, which count the
 * rest. */
#include "tt_link_clock.h"
#include "tt_uart.h"

#define SYSTICK_CONTROL TT_UART_REGISTER(0xE000E010U)
#define SYSTICK_RELOAD TT_UART_REGISTER(0xE000E014U)
#define SYSTICK_VALUE TT_UART_REGISTER(0xE000E018U)
#define SYSTICK_ENABLE_INTERRUPT_CORE_CLOCK 7U
#define SYSTICK_MASK 0xFFFFFFU

static volatile uint32_t wraps;

void SysTick_Handler(void);
void SysTick_Handler(void)
{
    wraps++;
}

uint32_t tt_link_clock_begin(void)
{
    SYSTICK_RELOAD = SYSTICK_MASK;
    SYSTICK_VALUE = 0U;
    SYSTICK_CONTROL = SYSTICK_ENABLE_INTERRUPT_CORE_CLOCK;
    /* After a reset core and UART run from one oscillator, whose rate the target file has. */
#ifdef TT_UART_CLOCK
    return TT_UART_CLOCK;
#else
    return 0;
#endif
}

uint32_t tt_link_clock(void)
{
    uint32_t before;
    uint32_t value;
    /* A wrap between the two readings, or a 0 whose interrupt is still on its way: read again. */
    do {
        before = wraps;
        value = SYSTICK_VALUE;
    } while (value == 0U || before != wraps);
    return before * (SYSTICK_MASK + 1U) + (SYSTICK_MASK - value);
}
