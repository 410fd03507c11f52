/* The calls of Arm semihosting (Arm IHI 0100, "Semihosting for AArch32 and AArch64"; RISC-V takes
 * the same), served by a debugger, an emulator, or the machine at the other end of a serial line.
 */
#ifndef TT_SEMIHOSTING_H
#define TT_SEMIHOSTING_H

#include <stdint.h>

enum {
    TT_SYS_OPEN = 0x01,
    TT_SYS_CLOSE = 0x02,
    TT_SYS_WRITE0 = 0x04,
    TT_SYS_WRITE = 0x05,
    TT_SYS_READ = 0x06,
    TT_SYS_SEEK = 0x0A,
    TT_SYS_EXIT_EXTENDED = 0x20
};

/* Reason code of a program that ends by its own will. */
#define TT_STOPPED_APPLICATION_EXIT 0x20026U

/* One call. argument: a string or a block of words, as the operation asks. */
uint32_t tt_semihosting(uint32_t operation, const void *argument);

/* Bytes of a zero-terminated text without the zero. */
static inline uint32_t tt_text_length(const char *text)
{
    uint32_t length = 0;
    while (text[length] != '\0') {
        length++;
    }
    return length;
}

#endif
