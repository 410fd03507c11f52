/* The serial line of a board: 8 data bits, no parity, one stop bit, at TT_UART_BAUD.
 *
 * One file `uart_<kind>.c` implements it for one kind of UART; where the UART lies, which pins it
 * has and what its clock is stands in tt_board.h as macros `TT_UART_...`, from the target's
 * [serial] table. Nothing here uses interrupts or memory of its own, and nothing may be called from
 * an interrupt. */
#ifndef TT_UART_H
#define TT_UART_H

#include <stddef.h>
#include <stdint.h>

#include "tt_board.h"

#ifndef TT_UART_BAUD
#define TT_UART_BAUD 115200U
#endif

/* A register of a peripheral, by its address. */
#define TT_UART_REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* Switches the UART on, with its pins and its clock, from the clock that the chip has after a
 * reset. Call it once before anything else here. */
void tt_uart_init(void);

/* The next byte that came, 0 to 255; -1 where none is there. Never waits. */
int tt_uart_poll(void);

/* Sends one byte; waits while there is no room. */
void tt_uart_put(uint8_t byte);

/* Reads exactly `size` bytes; waits for them. */
static inline void tt_uart_read(void *data, size_t size)
{
    uint8_t *to = (uint8_t *)data;
    for (size_t i = 0; i < size;) {
        const int byte = tt_uart_poll();
        if (byte >= 0) {
            to[i++] = (uint8_t)byte;
        }
    }
}

/* Sends `size` bytes. */
static inline void tt_uart_write(const void *data, size_t size)
{
    const uint8_t *from = (const uint8_t *)data;
    for (size_t i = 0; i < size; i++) {
        tt_uart_put(from[i]);
    }
}

#endif
