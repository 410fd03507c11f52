/* Arm semihosting (Arm IHI 0100, "Semihosting for AArch32 and AArch64"): the program stops at a
 * breakpoint and the debugger or emulator serves a call. */
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
static inline uint32_t tt_semihosting(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

#endif
