/* A timer of an nRF51 or nRF52 (nRF51 Reference Manual and nRF52840 Product Specification,
 * "TIMER"): 32 bits at 16 MHz. An nRF51 has no SysTick.
 *
 * TT_UART_TIMER: its address; TIMER0 has 32 bits on all of them. */
#include "tt_link_clock.h"
#include "tt_uart.h"

#define START TT_UART_REGISTER(TT_UART_TIMER + 0x000U)
#define CAPTURE TT_UART_REGISTER(TT_UART_TIMER + 0x040U)
#define MODE TT_UART_REGISTER(TT_UART_TIMER + 0x504U)
#define BITS TT_UART_REGISTER(TT_UART_TIMER + 0x508U)
#define PRESCALER TT_UART_REGISTER(TT_UART_TIMER + 0x510U)
#define CAPTURED TT_UART_REGISTER(TT_UART_TIMER + 0x540U)

#define MODE_TIMER 0U
#define BITS_32 3U
#define HERTZ 16000000U

uint32_t tt_link_clock_begin(void)
{
    MODE = MODE_TIMER;
    BITS = BITS_32;
    PRESCALER = 0U;
    START = 1U;
    return HERTZ;
}

uint32_t tt_link_clock(void)
{
    CAPTURE = 1U;
    return CAPTURED;
}
