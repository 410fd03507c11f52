/* Start-up of any Cortex-M: vector table, floating point and vector unit, .data and .bss, painted
 * stack, main, exit code; and a fault handler that says where the program died. */
#include "tt_port.h"

#define VTOR (*(const tt_vector *volatile *)0xE000ED08U)
#define CONFIGURABLE_FAULT_STATUS (*(volatile uint32_t *)0xE000ED28U)

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
_Noreturn void tt_fault(const uint32_t *frame);

/* The port that counts instructions replaces it. */
void SysTick_Handler(void) __attribute__((weak, alias("tt_fault_entry")));

typedef union {
    const uint32_t *stack;
    void (*handler)(void);
} tt_vector;

/* Architecture manual, "exception model": stack top, then exceptions 1 (reset) to 15 (SysTick).
 * No other interrupt is ever enabled. */
extern const tt_vector tt_vectors[16];
__attribute__((section(".vectors"), used)) const tt_vector tt_vectors[16] = {
    {.stack = tt_stack_top},      {.handler = tt_reset},       {.handler = tt_fault_entry},
    {.handler = tt_fault_entry},  {.handler = tt_fault_entry}, {.handler = tt_fault_entry},
    {.handler = tt_fault_entry},  {.handler = tt_fault_entry}, {.handler = tt_fault_entry},
    {.handler = tt_fault_entry},  {.handler = tt_fault_entry}, {.handler = tt_fault_entry},
    {.handler = tt_fault_entry},  {.handler = tt_fault_entry}, {.handler = tt_fault_entry},
    {.handler = SysTick_Handler},
};

/* In assembly, because compiled code may already use registers of the units that it enables. */
__attribute__((naked, used)) void tt_reset(void)
{
    /* clang-format off */
    __asm volatile(
        "ldr r0, =tt_stack_top\n"
        "mov sp, r0\n"
#if defined(__ARM_ARCH_8M_MAIN__) || defined(__ARM_ARCH_8_1M_MAIN__)
        /* From here on a stack that grows into .bss is a fault and not a silent error. */
        "ldr r0, =tt_stack_limit\n"
        "msr msplim, r0\n"
#endif
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
        /* CPACR: full access to coprocessors 10 and 11. */
        "ldr r0, =0xE000ED88\n"
        "ldr r1, [r0]\n"
        "orr r1, r1, #0xF00000\n"
        "str r1, [r0]\n"
        "dsb\n"
        "isb\n"
#endif
        "bl tt_start\n"
        ".pool\n");
    /* clang-format on */
}

__attribute__((used)) _Noreturn void tt_start(void)
{
    const uint32_t *from = tt_data_load;
    volatile uint32_t *paint = tt_stack_limit;
    const volatile uint32_t *top;

#if __ARM_ARCH > 6
    VTOR = tt_vectors;
#endif
    for (uint32_t *to = tt_data_start; to < tt_data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = tt_bss_start; to < tt_bss_end; to++) {
        *to = 0;
    }
    __asm volatile("mov %0, sp" : "=r"(top));
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
 * again. */
__attribute__((naked, used)) void tt_fault_entry(void)
{
    __asm volatile("mrs r0, msp\n"
                   "ldr r1, =tt_stack_top\n"
                   "mov sp, r1\n"
                   "bl tt_fault\n"
                   ".pool\n");
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

/* frame: stacked r0-r3, r12, lr, pc, xpsr; possibly not there, when stacking itself failed. */
__attribute__((used)) _Noreturn void tt_fault(const uint32_t *frame)
{
    const uintptr_t address = (uintptr_t)frame;
    uint32_t exception;
    __asm volatile("mrs %0, ipsr" : "=r"(exception));
    print_hex("tinytrain: fault, exception 0x", exception);
    if (address >= (uintptr_t)tt_stack_limit && address <= (uintptr_t)tt_stack_top - 32U) {
        print_hex(", pc 0x", frame[6]);
        print_hex(", lr 0x", frame[5]);
    } else {
        print_hex(", stack pointer out of its range: 0x", (uint32_t)address);
    }
#if __ARM_ARCH > 6
    print_hex(", cfsr 0x", CONFIGURABLE_FAULT_STATUS);
#endif
    tt_port_print_error("\n");
    tt_port_exit(TT_PORT_EXIT_FAULT);
}
