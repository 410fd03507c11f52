/* SysTick, which counts the core's clock down from 2^24 - 1, and its interrupts, which count the
 * rest: for the one file of a program that needs it. */
#include <stdint.h>

#define SYSTICK_CONTROL (*(volatile uint32_t *)0xE000E010U)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xE000E014U)
#define SYSTICK_VALUE (*(volatile uint32_t *)0xE000E018U)
#define SYSTICK_ENABLE_INTERRUPT_CORE_CLOCK 7U
#define SYSTICK_MASK 0xFFFFFFU

/* A Cortex-M0 may lack it, as an nRF51 does: its registers read as 0 then, and no time passes. */
#if __ARM_ARCH > 6
#define SYSTICK_IS_THERE 1
#else
#define SYSTICK_IS_THERE (SYSTICK_RELOAD != 0U)
#endif

static volatile uint32_t systick_wraps;

void SysTick_Handler(void);
void SysTick_Handler(void)
{
    systick_wraps++;
}

static void systick_begin(void)
{
    SYSTICK_RELOAD = SYSTICK_MASK;
    SYSTICK_VALUE = 0U;
    SYSTICK_CONTROL = SYSTICK_ENABLE_INTERRUPT_CORE_CLOCK;
}

/* Ticks so far; never 0. */
static uint64_t systick_ticks(void)
{
    uint32_t wraps;
    uint32_t value;
    /* The counter falls from 2^24 - 1 to 0 and interrupts at 0. A wrap between the two readings, or
     * a 0 whose interrupt is still on its way, would be off by 2^24 ticks: read again. */
    do {
        wraps = systick_wraps;
        value = SYSTICK_VALUE;
    } while ((value == 0U && SYSTICK_IS_THERE) || wraps != systick_wraps);
    return (uint64_t)wraps * (SYSTICK_MASK + 1U) + (SYSTICK_MASK + 1U - value);
}
