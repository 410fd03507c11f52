/* Arm's PrimeCell UART (PL011; Arm DDI 0183), as in the LM3S6965 and the RP2040.
 *
 * TT_UART_BASE, TT_UART_CLOCK: its address, its clock in Hz. What comes before it (clock, reset,
 * pins) is the chip's own: TT_UART_RP2040 or TT_UART_LM3S, 1 for the one that it is. */
#include "tt_uart.h"

#define DATA TT_UART_REGISTER(TT_UART_BASE + 0x00U)
#define FLAGS TT_UART_REGISTER(TT_UART_BASE + 0x18U)
#define DIVIDER TT_UART_REGISTER(TT_UART_BASE + 0x24U)
#define DIVIDER_FRACTION TT_UART_REGISTER(TT_UART_BASE + 0x28U)
#define LINE_CONTROL TT_UART_REGISTER(TT_UART_BASE + 0x2CU)
#define CONTROL TT_UART_REGISTER(TT_UART_BASE + 0x30U)

#define FLAG_RECEIVE_EMPTY (1U << 4)
#define FLAG_SEND_FULL (1U << 5)
#define LINE_8_BITS_QUEUED 0x70U
#define CONTROL_ENABLE_BOTH 0x301U

/* Divider in 64ths, rounded. */
#define DIVIDER_64 ((4U * TT_UART_CLOCK + TT_UART_BAUD / 2U) / TT_UART_BAUD)

#if TT_UART_RP2040
/* RP2040 datasheet: 2.14 "Subsystem resets", 2.15 "Clocks", 2.16 "Crystal oscillator", 2.19 "GPIO".
 * The UART runs from the crystal of 12 MHz, and so does the core. */
#define RESETS_CLEAR TT_UART_REGISTER(0x4000F000U)
#define RESETS_DONE TT_UART_REGISTER(0x4000C008U)
#define CRYSTAL_CONTROL TT_UART_REGISTER(0x40024000U)
#define CRYSTAL_STATUS TT_UART_REGISTER(0x40024004U)
#define CRYSTAL_STARTUP TT_UART_REGISTER(0x4002400CU)
#define CLOCK_REFERENCE TT_UART_REGISTER(0x40008030U)
#define CLOCK_PERIPHERALS TT_UART_REGISTER(0x40008048U)
#define GPIO0_CONTROL TT_UART_REGISTER(0x40014004U)
#define GPIO1_CONTROL TT_UART_REGISTER(0x4001400CU)
#define RESET_PINS_PADS_UART0 (1U << 5 | 1U << 8 | 1U << 22)

static void prepare(void)
{
    CRYSTAL_STARTUP = 47U; /* of 256 cycles: 1 ms */
    CRYSTAL_CONTROL = 0xFABAA0U;
    while (!(CRYSTAL_STATUS & 1U << 31)) {
    }
    CLOCK_REFERENCE = 2U;
    CLOCK_PERIPHERALS = 1U << 11 | 4U << 5;
    RESETS_CLEAR = RESET_PINS_PADS_UART0;
    while ((RESETS_DONE & RESET_PINS_PADS_UART0) != RESET_PINS_PADS_UART0) {
    }
    GPIO0_CONTROL = 2U;
    GPIO1_CONTROL = 2U;
}
#elif TT_UART_LM3S
/* LM3S6965 datasheet, "System control" and "GPIO": the main oscillator with its crystal of 8 MHz,
 * UART0 on the pins 0 and 1 of port A. */
#define RUN_CLOCK TT_UART_REGISTER(0x400FE060U)
#define CLOCKS_1 TT_UART_REGISTER(0x400FE104U)
#define CLOCKS_2 TT_UART_REGISTER(0x400FE108U)
#define PORT_A_FUNCTION TT_UART_REGISTER(0x40004420U)
#define PORT_A_DIGITAL TT_UART_REGISTER(0x4000451CU)
/* Bypass of the PLL, crystal of 8 MHz, main oscillator on and chosen; the internal one stays on. */
#define RUN_FROM_CRYSTAL 0x078E3B80U

static void prepare(void)
{
    RUN_CLOCK = RUN_FROM_CRYSTAL;
    CLOCKS_1 |= 1U;
    CLOCKS_2 |= 1U;
    (void)CLOCKS_2;
    PORT_A_FUNCTION |= 3U;
    PORT_A_DIGITAL |= 3U;
}
#else
static void prepare(void)
{
}
#endif

void tt_uart_init(void)
{
    prepare();
    CONTROL = 0;
    DIVIDER = DIVIDER_64 / 64U;
    DIVIDER_FRACTION = DIVIDER_64 % 64U;
    LINE_CONTROL = LINE_8_BITS_QUEUED;
    CONTROL = CONTROL_ENABLE_BOTH;
}

int tt_uart_poll(void)
{
    return FLAGS & FLAG_RECEIVE_EMPTY ? -1 : (int)(DATA & 0xFFU);
}

void tt_uart_put(uint8_t byte)
{
    while (FLAGS & FLAG_SEND_FULL) {
    }
    DATA = byte;
}
