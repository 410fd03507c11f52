/* A USART of an STM32 (RM0090 for the F4, RM0385 for the F7, RM0433 for the H7, RM0351 for the L4).
 *
 * TT_UART_BASE, TT_UART_CLOCK: its address, its clock in Hz.
 * TT_UART_ENABLE, TT_UART_ENABLE_BIT: the register and the bit of the RCC that switch its clock on.
 * TT_UART_GPIO_ENABLE, TT_UART_GPIO_ENABLE_BITS: the same of its pins' ports.
 * TT_UART_TX_PORT, TT_UART_TX_PIN, TT_UART_RX_PORT, TT_UART_RX_PIN: a port's address, a pin of 0
 * to 15. TT_UART_FUNCTION: the alternate function of both pins. TT_UART_OLD: 1 for the registers of
 * the F1, F2 and F4, which have one data register. */
#include "tt_uart.h"

#if TT_UART_OLD
#define STATUS TT_UART_REGISTER(TT_UART_BASE + 0x00U)
#define RECEIVED TT_UART_REGISTER(TT_UART_BASE + 0x04U)
#define SEND TT_UART_REGISTER(TT_UART_BASE + 0x04U)
#define BAUD_RATE TT_UART_REGISTER(TT_UART_BASE + 0x08U)
#define CONTROL TT_UART_REGISTER(TT_UART_BASE + 0x0CU)
#define CONTROL_ENABLE (1U << 13)
#else
#define CONTROL TT_UART_REGISTER(TT_UART_BASE + 0x00U)
#define BAUD_RATE TT_UART_REGISTER(TT_UART_BASE + 0x0CU)
#define STATUS TT_UART_REGISTER(TT_UART_BASE + 0x1CU)
#define CLEAR TT_UART_REGISTER(TT_UART_BASE + 0x20U)
#define RECEIVED TT_UART_REGISTER(TT_UART_BASE + 0x24U)
#define SEND TT_UART_REGISTER(TT_UART_BASE + 0x28U)
#define CONTROL_ENABLE 1U
#endif

#define CONTROL_SEND (1U << 3)
#define CONTROL_RECEIVE (1U << 2)
#define STATUS_OVERRUN (1U << 3)
#define STATUS_RECEIVED (1U << 5)
#define STATUS_SEND_EMPTY (1U << 7)

/* Of a GPIO port: a field of 2 bits a pin, and one of 4 bits a pin in two registers. */
#define GPIO_MODE 0x00U
#define GPIO_FUNCTION 0x20U
#define MODE_ALTERNATE 2U

static void connect(uint32_t port, uint32_t pin)
{
    volatile uint32_t *const mode = &TT_UART_REGISTER(port + GPIO_MODE);
    volatile uint32_t *const function = &TT_UART_REGISTER(port + GPIO_FUNCTION + 4U * (pin / 8U));
    *function = (*function & ~(15U << (4U * (pin % 8U)))) | TT_UART_FUNCTION << (4U * (pin % 8U));
    *mode = (*mode & ~(3U << (2U * pin))) | MODE_ALTERNATE << (2U * pin);
}

void tt_uart_init(void)
{
    TT_UART_REGISTER(TT_UART_GPIO_ENABLE) |= TT_UART_GPIO_ENABLE_BITS;
    TT_UART_REGISTER(TT_UART_ENABLE) |= 1U << TT_UART_ENABLE_BIT;
    /* RM0090, "RCC": a peripheral answers two cycles after its clock is on; a read waits for them.
     */
    (void)TT_UART_REGISTER(TT_UART_ENABLE);
    connect(TT_UART_TX_PORT, TT_UART_TX_PIN);
    connect(TT_UART_RX_PORT, TT_UART_RX_PIN);
    CONTROL = 0;
    /* 16 samples a bit: the divider with its 4 fractional bits is the quotient itself. */
    BAUD_RATE = (TT_UART_CLOCK + TT_UART_BAUD / 2U) / TT_UART_BAUD;
    CONTROL = CONTROL_ENABLE | CONTROL_SEND | CONTROL_RECEIVE;
}

int tt_uart_poll(void)
{
    const uint32_t status = STATUS;
#if !TT_UART_OLD
    /* Where a byte was lost, nothing more comes until that is acknowledged. */
    if (status & STATUS_OVERRUN) {
        CLEAR = STATUS_OVERRUN;
    }
#endif
    return status & STATUS_RECEIVED ? (int)(RECEIVED & 0xFFU) : -1;
}

void tt_uart_put(uint8_t byte)
{
    while (!(STATUS & STATUS_SEND_EMPTY)) {
    }
    SEND = byte;
}
