/* Semihosting of a Cortex-M: the program stops at a breakpoint, and who debugs it serves the call.
 */
#include "tt_semihosting.h"

uint32_t tt_semihosting(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}
