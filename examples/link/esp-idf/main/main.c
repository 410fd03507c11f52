/* Not compiled here. A model behind UART 0 of an ESP32. */
#include "driver/uart.h"
#include "esp_err.h"
#include "esp_log.h"
#include "esp_timer.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"

#include "own_link.h"

static own_state state;
static own_link wire;

static int read_byte(void *context)
{
    uint8_t byte;
    (void)context;
    return uart_read_bytes(UART_NUM_0, &byte, 1, 0) == 1 ? byte : -1;
}

static void write_bytes(void *context, const void *data, size_t size)
{
    (void)context;
    (void)uart_write_bytes(UART_NUM_0, data, size);
}

static uint32_t clock_now(void *context)
{
    (void)context;
    return (uint32_t)esp_timer_get_time();
}

void app_main(void)
{
    const tt_link_port port = {read_byte, write_bytes, clock_now, 1000000, NULL, NULL};
    /* The line is the link's alone; what the boot loader printed is dropped as noise. */
    esp_log_level_set("*", ESP_LOG_NONE);
    /* What comes while a training step runs waits in the driver: a frame and more. */
    ESP_ERROR_CHECK(uart_driver_install(UART_NUM_0, 1024, 0, 0, NULL, 0));
    ESP_ERROR_CHECK(uart_set_baudrate(UART_NUM_0, 115200));
    own_init(&state);
    own_link_init(&wire, &state, &port);
    for (;;) {
        if (!own_link_poll(&wire)) {
            vTaskDelay(1);
        }
    }
}
