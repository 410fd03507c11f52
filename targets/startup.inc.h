/* The part of start-up code that every core shares, for the core's own startup.c alone: memory as C
 * wants it, the painted stack, and hexadecimal numbers for whoever reads of a fault. */
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

__attribute__((always_inline)) static inline void fill_memory(void)
{
    const uint32_t *from = tt_data_load;
    for (uint32_t *to = tt_data_start; to < tt_data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = tt_bss_start; to < tt_bss_end; to++) {
        *to = 0;
    }
}

/* top: the caller's stack pointer. Always inlined: a frame of its own would be painted, too. */
__attribute__((always_inline)) static inline void paint_stack(const volatile uint32_t *top)
{
    volatile uint32_t *paint = tt_stack_limit;
    while (paint < top) {
        *paint++ = STACK_PAINT;
    }
}

uint32_t tt_port_stack_used(void)
{
    const volatile uint32_t *word = tt_stack_limit;
    while (word < tt_stack_top && *word == STACK_PAINT) {
        word++;
    }
    return (uint32_t)((uintptr_t)tt_stack_top - (uintptr_t)word);
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
