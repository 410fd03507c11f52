/* A UART with the registers of the 16550, as on QEMU's board `virt`: a byte each.
 *
 * TT_UART_BASE, TT_UART_CLOCK: its address, its clock in Hz. */
#include "tt_uart.h"

#define BYTE(offset) (*(volatile uint8_t *)(uintptr_t)(TT_UART_BASE + (offset)))
#define DATA BYTE(0U)
#define DIVIDER_LOW BYTE(0U)
#define DIVIDER_HIGH BYTE(1U)
#define QUEUES BYTE(2U)
#define LINE_CONTROL BYTE(3U)
#define LINE_STATUS BYTE(5U)

#define LINE_8_BITS 3U
#define LINE_DIVIDER 0x80U
#define STATUS_RECEIVED 1U
#define STATUS_SEND_EMPTY 0x20U
#define DIVIDER (TT_UART_CLOCK / 16U / TT_UART_BAUD)

void tt_uart_init(void)
{
    LINE_CONTROL = LINE_DIVIDER | LINE_8_BITS;
    DIVIDER_LOW = (uint8_t)DIVIDER;
    DIVIDER_HIGH = (uint8_t)(DIVIDER >> 8);
    LINE_CONTROL = LINE_8_BITS;
    QUEUES = 1U;
}

int tt_uart_poll(void)
{
    return LINE_STATUS & STATUS_RECEIVED ? DATA : -1;
}

void tt_uart_put(uint8_t byte)
{
    while (!(LINE_STATUS & STATUS_SEND_EMPTY)) {
    }
    DATA = byte;
}
