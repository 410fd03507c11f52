/* The core's clock, counted by SysTick. */
#include "systick.inc.h"
#include "tt_link_clock.h"
#include "tt_uart.h"

uint32_t tt_link_clock_begin(void)
{
    systick_begin();
    /* After a reset core and UART run from one oscillator, whose rate the target file has. */
#ifdef TT_UART_CLOCK
    return TT_UART_CLOCK;
#else
    return 0;
#endif
}

uint32_t tt_link_clock(void)
{
    return (uint32_t)systick_ticks();
}
