/* Start-up of a RISC-V core in machine mode: stack, floating point, .data and .bss, painted stack,
 * main, exit code; and a trap handler that says where the program died. No interrupt is ever
 * enabled. */
#include "tt_port.h"

/* Not four equal bytes: the painting loop must not become a call of memset, whose own frame lies
 * in the painted range. */
#define STACK_PAINT 0x5AC3A53CU

/* Addresses given by link.ld; all are multiples of 4. */
extern uint32_t tt_stack_limit[], tt_stack_top[];
extern uint32_t tt_data_start[], tt_data_end[], tt_bss_start[], tt_bss_end[];
extern const uint32_t tt_data_load[];

int main(void);
void tt_reset(void);
_Noreturn void tt_start(void);
void tt_fault_entry(void);
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
    const uint32_t *from = tt_data_load;
    volatile uint32_t *paint = tt_stack_limit;
    const volatile uint32_t *top;

    for (uint32_t *to = tt_data_start; to < tt_data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = tt_bss_start; to < tt_bss_end; to++) {
        *to = 0;
    }
    __asm volatile("mv %0, sp" : "=r"(top));
    while (paint < top) {
        *paint++ = STACK_PAINT;
    }
    tt_port_exit(main());
}

uint32_t tt_port_stack_used(void)
{
    const volatile uint32_t *word = tt_stack_limit;
    while (word < tt_stack_top && *word == STACK_PAINT) {
        word++;
    }
    return (uint32_t)((uintptr_t)tt_stack_top - (uintptr_t)word);
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

static void print_hex(const char *label, uint32_t value)
{
    char digits[9];
    for (int i = 7; i >= 0; i--) {
        digits[i] = "0123456789abcdef"[value & 15U];
        value >>= 4;
    }
    digits[8] = '\0';
    tt_port_print_error(label);
    tt_port_print_error(digits);
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
