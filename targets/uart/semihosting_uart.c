/* Semihosting over the serial line: the machine at its other end serves the calls.
 *
 * A call is the byte 0x1E, the operation's byte, three words (little endian) a, b and n, and n
 * bytes:
 *
 *   operation       a        b          n bytes      the answer
 *   OPEN            mode                the path     a word: the handle, or -1
 *   CLOSE           handle                           a word: 0, or -1
 *   WRITE           handle              the data     a word: how many bytes were not written
 *   READ            handle   size                    a word: how many bytes are missing; the others
 *   SEEK            handle   offset                  a word: 0, or -1
 *   WRITE0                              the text     none
 *   EXIT_EXTENDED   reason   exit code               none
 *
 * The line must lose nothing: there are no checksums. */
#include <stddef.h>

#include "tt_semihosting.h"
#include "tt_uart.h"

#define CALL 0x1EU

static void send_call(uint32_t operation, uint32_t a, uint32_t b, const void *bytes, uint32_t size)
{
    static int is_on;
    if (!is_on) {
        tt_uart_init();
        is_on = 1;
    }
    const uint32_t words[3] = {a, b, size};
    tt_uart_put(CALL);
    tt_uart_put((uint8_t)operation);
    tt_uart_write(words, sizeof words);
    tt_uart_write(bytes, size);
}

static uint32_t receive_word(void)
{
    uint32_t word;
    tt_uart_read(&word, sizeof word);
    return word;
}

static uint32_t read_block(uint32_t handle, void *data, uint32_t size)
{
    send_call(TT_SYS_READ, handle, size, NULL, 0);
    const uint32_t missing = receive_word();
    if (missing <= size) {
        tt_uart_read(data, size - missing);
    }
    return missing;
}

uint32_t tt_semihosting(uint32_t operation, const void *argument)
{
    const uint32_t *block = (const uint32_t *)argument;
    switch (operation) {
    case TT_SYS_OPEN:
        send_call(operation, block[1], 0, (const void *)(uintptr_t)block[0], block[2]);
        break;
    case TT_SYS_CLOSE:
        send_call(operation, block[0], 0, NULL, 0);
        break;
    case TT_SYS_WRITE:
        send_call(operation, block[0], 0, (const void *)(uintptr_t)block[1], block[2]);
        break;
    case TT_SYS_READ:
        return read_block(block[0], (void *)(uintptr_t)block[1], block[2]);
    case TT_SYS_SEEK:
        send_call(operation, block[0], block[1], NULL, 0);
        break;
    case TT_SYS_WRITE0:
        send_call(operation, 0, 0, argument, tt_text_length((const char *)argument));
        return 0;
    default:
        send_call(operation, block[0], block[1], NULL, 0);
        return 0;
    }
    return receive_word();
}
