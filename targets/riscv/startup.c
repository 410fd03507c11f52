/* Start-up of a RISC-V core in machine mode: stack, floating point, .data and .bss, painted stack,
 * main, exit code; and a trap handler that says where the program died. No interrupt is ever
 * enabled. */
#include "startup.inc.h"

_Noreturn void tt_fault(const uint32_t *registers);

/* First in flash. In assembly, because there is no stack yet; the linker must not address anything
 * by a global pointer, which nobody sets. */
__attribute__((naked, used, section(".vectors"))) void tt_reset(void)
{
    __asm volatile(".option push\n"
                   ".option arch, +zicsr\n"
                   "la sp, tt_stack_top\n"
                   "la t0, tt_fault_entry\n"
                   "csrw mtvec, t0\n"
#if defined(__riscv_flen)
                   /* mstatus.FS: the float unit on, its state initial. */
                   "li t0, 0x2000\n"
                   "csrs mstatus, t0\n"
                   "fscsr zero\n"
#endif
                   ".option pop\n"
                   "j tt_start\n");
}

__attribute__((used)) _Noreturn void tt_start(void)
{
    const volatile uint32_t *top;

    fill_memory();
    __asm volatile("mv %0, sp" : "=r"(top));
    paint_stack(top);
    tt_port_exit(main());
}

/* The fault may be a stack that overflowed, so the report starts on a fresh one: main never runs
 * again. mtvec takes an address of whole words; cores with a vectored mode want 64 bytes. */
__attribute__((naked, used, aligned(64))) void tt_fault_entry(void)
{
    __asm volatile(".option push\n"
                   ".option arch, +zicsr\n"
                   "mv t0, sp\n"
                   "la sp, tt_stack_top\n"
                   "addi sp, sp, -32\n"
                   "csrr t1, mcause\n"
                   "sw t1, 0(sp)\n"
                   "csrr t1, mepc\n"
                   "sw t1, 4(sp)\n"
                   "sw ra, 8(sp)\n"
                   "csrr t1, mtval\n"
                   "sw t1, 12(sp)\n"
                   "sw t0, 16(sp)\n"
                   ".option pop\n"
                   "mv a0, sp\n"
                   "j tt_fault\n");
}

/* registers: mcause, mepc, ra, mtval, sp. */
__attribute__((used)) _Noreturn void tt_fault(const uint32_t *registers)
{
    print_hex("tinytrain: fault, exception 0x", registers[0]);
    print_hex(", pc 0x", registers[1]);
    print_hex(", ra 0x", registers[2]);
    print_hex(", mtval 0x", registers[3]);
    print_hex(", sp 0x", registers[4]);
    tt_port_print_error("\n");
    tt_port_exit(TT_PORT_EXIT_FAULT);
}
