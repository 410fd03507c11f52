/* Semihosting of a RISC-V core ("RISC-V Semihosting", version 0.2): a breakpoint between two
 * instructions that do nothing, all three of 32 bits and in one page. */
#include "tt_semihosting.h"

uint32_t tt_semihosting(uint32_t operation, const void *argument)
{
    register uint32_t a0 __asm("a0") = operation;
    register const void *a1 __asm("a1") = argument;
    __asm volatile(".option push\n"
                   ".option norvc\n"
                   ".balign 16\n"
                   "slli zero, zero, 0x1f\n"
                   "ebreak\n"
                   "srai zero, zero, 7\n"
                   ".option pop\n"
                   : "+r"(a0)
                   : "r"(a1)
                   : "memory");
    return a0;
}
