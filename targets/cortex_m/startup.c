/* Start-up of any Cortex-M: vector table, floating point and vector unit, .data and .bss, painted
 * stack, main, exit code; and a fault handler that says where the program died. */
#include "startup.inc.h"

#define VTOR (*(const tt_vector *volatile *)0xE000ED08U)
#define CONFIGURABLE_FAULT_STATUS (*(volatile uint32_t *)0xE000ED28U)

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
    const volatile uint32_t *top;

#if __ARM_ARCH > 6
    VTOR = tt_vectors;
#endif
    fill_memory();
    __asm volatile("mov %0, sp" : "=r"(top));
    paint_stack(top);
    tt_port_exit(main());
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
