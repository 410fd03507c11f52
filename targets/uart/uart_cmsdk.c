/* The UART of Arm's Cortex-M System Design Kit, on the MPS2 and MPS3 boards (Arm DDI 0479, "APB
 * UART").
 *
 * TT_UART_BASE: its address. TT_UART_CLOCK: its clock in Hz. */
#include "tt_uart.h"

#define DATA TT_UART_REGISTER(TT_UART_BASE + 0x00U)
#define STATE TT_UART_REGISTER(TT_UART_BASE + 0x04U)
#define CONTROL TT_UART_REGISTER(TT_UART_BASE + 0x08U)
#define BAUD_DIVIDER TT_UART_REGISTER(TT_UART_BASE + 0x10U)

#define STATE_SEND_FULL 1U
#define STATE_RECEIVE_FULL 2U
#define CONTROL_SEND_AND_RECEIVE 3U

void tt_uart_init(void)
{
    BAUD_DIVIDER = TT_UART_CLOCK / TT_UART_BAUD;
    CONTROL = CONTROL_SEND_AND_RECEIVE;
}

int tt_uart_poll(void)
{
    return STATE & STATE_RECEIVE_FULL ? (int)(DATA & 0xFFU) : -1;
}

void tt_uart_put(uint8_t byte)
{
    while (STATE & STATE_SEND_FULL) {
    }
    DATA = byte;
}
