/* Not compiled here. A model behind a UART of Zephyr. */
#include <zephyr/device.h>
#include <zephyr/drivers/uart.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/ring_buffer.h>

#include "own_link.h"

/* What comes while a training step runs waits here: a frame and more. */
RING_BUF_DECLARE(received, 1024);

static const struct device *const uart = DEVICE_DT_GET(DT_CHOSEN(zephyr_console));
static own_state state;
static own_link wire;

static void on_uart(const struct device *device, void *context)
{
    uint8_t bytes[32];
    ARG_UNUSED(context);
    while (uart_irq_update(device) && uart_irq_rx_ready(device)) {
        const int count = uart_fifo_read(device, bytes, sizeof bytes);
        if (count > 0) {
            (void)ring_buf_put(&received, bytes, (uint32_t)count);
        }
    }
}

static int read_byte(void *context)
{
    uint8_t byte;
    ARG_UNUSED(context);
    return ring_buf_get(&received, &byte, 1) == 1 ? byte : -1;
}

static void write_bytes(void *context, const void *data, size_t size)
{
    const uint8_t *const bytes = data;
    ARG_UNUSED(context);
    for (size_t i = 0; i < size; i++) {
        uart_poll_out(uart, bytes[i]);
    }
}

static uint32_t clock_now(void *context)
{
    ARG_UNUSED(context);
    return k_cycle_get_32();
}

int main(void)
{
    const tt_link_port port = {read_byte, write_bytes, clock_now, sys_clock_hw_cycles_per_sec(),
                               NULL,      NULL};
    if (!device_is_ready(uart)) {
        return -1;
    }
    (void)uart_irq_callback_user_data_set(uart, on_uart, NULL);
    uart_irq_rx_enable(uart);
    own_init(&state);
    own_link_init(&wire, &state, &port);
    for (;;) {
        if (!own_link_poll(&wire)) {
            k_sleep(K_MSEC(1));
        }
    }
}
