/* Ends in a fault: an instruction that is not defined. */
#include "tt_port.h"

int main(void)
{
    tt_port_print("before\n");
#if defined(__arm__)
    __asm volatile("udf #0");
#elif defined(__riscv)
    __asm volatile("unimp");
#endif
    tt_port_print("after\n");
    return 0;
}
