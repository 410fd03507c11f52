/* Runs the cases of cases.bin: kernel and portable twin on equal operands. Prints the number of
 * each case before it runs, what is wrong with it after it, and "done". */
#include "test_kernels.h"
#include "tt_port.h"

static _Alignas(64) uint8_t expected_bytes[TEST_ARENA_BYTES];
static _Alignas(64) uint8_t actual_bytes[TEST_ARENA_BYTES];
static test_arena expected;
static test_arena actual;

void say(const char *text)
{
    tt_port_print(text);
}

void say_number(const char *text, int32_t value)
{
    char digits[12];
    size_t at = sizeof digits - 1;
    uint32_t left = value < 0 ? 0U - (uint32_t)value : (uint32_t)value;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + left % 10U);
        left /= 10U;
    } while (left != 0);
    if (value < 0) {
        digits[--at] = '-';
    }
    say(text);
    say(digits + at);
}

static void run(const test_case *test, test_arena *arena, uint8_t *base, uint32_t salt,
                uint32_t fences, uint32_t workspace, test_driver driver, test_function function)
{
    arena_begin(arena, base, test->seed, salt, fences, workspace);
    test_operands operands = {arena, test->seed * 2U + 1U};
    driver(test, &operands, function);
    arena_lower_fences();
}

#if __ARM_ARCH == 6
/* The core has no unaligned accesses; the one that stands in for it has, but can refuse them:
 * CCR.UNALIGN_TRP. */
static void refuse_unaligned(void)
{
    *(volatile uint32_t *)0xE000ED14U |= 8U;
}
#else
static void refuse_unaligned(void)
{
}
#endif

int main(void)
{
    refuse_unaligned();
    test_case test;
    size_t failed = 0;
    const int cases = tt_port_open("cases.bin", 0);
    for (int32_t number = 0; tt_port_read(cases, &test, sizeof test) == 0; number++) {
        say_number("case ", number);
        say("\n");
        if (test.kernel >= test_kernel_count) {
            say("there is no such kernel\n");
            return 2;
        }
        const test_kernel *kernel = &test_kernels[test.kernel];
        test_case apart = test;
        apart.in_place = 0;
        run(&apart, &expected, expected_bytes, 1, 0, test.portable_workspace_bytes, kernel->driver,
            kernel->portable);
        run(&test, &actual, actual_bytes, 2, test.fences, test.workspace_bytes, kernel->driver,
            kernel->tested);
        const size_t wrong = arena_broken(&expected, "portable") +
                             arena_broken(&actual, kernel->name) +
                             arena_differences(&expected, &actual);
        failed += wrong != 0;
    }
    tt_port_close(cases);
    say("done\n");
    return failed != 0;
}
