/* The UART of an nRF51 or nRF52 (nRF51 Reference Manual, "UART"; nRF52840 Product Specification).
 *
 * TT_UART_BASE: its address. TT_UART_TX_PIN, TT_UART_RX_PIN: pins, 32 a port. */
#include "tt_uart.h"

#define START_RECEIVE TT_UART_REGISTER(TT_UART_BASE + 0x000U)
#define START_SEND TT_UART_REGISTER(TT_UART_BASE + 0x008U)
#define RECEIVED_READY TT_UART_REGISTER(TT_UART_BASE + 0x108U)
#define SENT_READY TT_UART_REGISTER(TT_UART_BASE + 0x11CU)
#define ENABLE TT_UART_REGISTER(TT_UART_BASE + 0x500U)
#define PIN_SEND TT_UART_REGISTER(TT_UART_BASE + 0x50CU)
#define PIN_RECEIVE TT_UART_REGISTER(TT_UART_BASE + 0x514U)
#define RECEIVED TT_UART_REGISTER(TT_UART_BASE + 0x518U)
#define SEND TT_UART_REGISTER(TT_UART_BASE + 0x51CU)
#define BAUD_RATE TT_UART_REGISTER(TT_UART_BASE + 0x524U)

#define ENABLE_UART 4U
/* Of the few rates that the register takes. */
#define BAUD_115200 0x01D7E000U
_Static_assert(TT_UART_BAUD == 115200U, "the register holds a code, not a divider");

void tt_uart_init(void)
{
    PIN_SEND = TT_UART_TX_PIN;
    PIN_RECEIVE = TT_UART_RX_PIN;
    BAUD_RATE = BAUD_115200;
    ENABLE = ENABLE_UART;
    RECEIVED_READY = 0;
    SENT_READY = 0;
    START_RECEIVE = 1;
    START_SEND = 1;
}

int tt_uart_poll(void)
{
    if (RECEIVED_READY == 0U) {
        return -1;
    }
    /* Before the read: the next byte of the queue may be ready as soon as this one is taken. */
    RECEIVED_READY = 0;
    return (int)(RECEIVED & 0xFFU);
}

void tt_uart_put(uint8_t byte)
{
    SENT_READY = 0;
    SEND = byte;
    while (SENT_READY == 0U) {
    }
}
