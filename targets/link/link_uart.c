/* A link over the board's own serial line. */
#include "tt_link_board.h"
#include "tt_link_clock.h"
#include "tt_port.h"
#include "tt_uart.h"

static int read_byte(void *context)
{
    (void)context;
    return tt_uart_poll();
}

static void write_bytes(void *context, const void *data, size_t size)
{
    (void)context;
    tt_uart_write(data, size);
}

static uint32_t clock_now(void *context)
{
    (void)context;
    return tt_link_clock();
}

static uint32_t stack_used(void *context)
{
    (void)context;
    return tt_port_stack_used();
}

void tt_link_board_idle(void)
{
}

const tt_link_port *tt_link_board(void)
{
    static tt_link_port port = {read_byte, write_bytes, clock_now, 0, stack_used, NULL};
    tt_uart_init();
    port.clock_hz = tt_link_clock_begin();
    return &port;
}
