/* Two functions that call each other, neither by a tail call. */
#include "tt_port.h"

static volatile int limit = 3;

static int odd(int n);
static __attribute__((noinline)) int even(int n)
{
    volatile int keep = n;
    return n > limit ? keep : odd(n + 1) + keep;
}

static __attribute__((noinline)) int odd(int n)
{
    volatile int keep = n;
    return n > limit ? keep : even(n + 1) + keep;
}

int main(void)
{
    return even(0) == -1;
}
