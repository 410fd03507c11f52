/* The timer in memory of RISC-V's privileged specification ("Machine Timer Registers").
 *
 * TT_UART_MTIME: the address of mtime. TT_UART_MTIME_HZ: its ticks in a second. */
#include "tt_link_clock.h"
#include "tt_uart.h"

uint32_t tt_link_clock_begin(void)
{
    return TT_UART_MTIME_HZ;
}

/* Of 64 bits, little endian, the lower half. */
uint32_t tt_link_clock(void)
{
    return TT_UART_REGISTER(TT_UART_MTIME);
}
