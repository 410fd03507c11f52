/* Eats the whole stack. */
#include "tt_port.h"

static volatile int depth = 1 << 30;

static int eat(int level)
{
    volatile uint8_t bytes[1024];
    bytes[0] = (uint8_t)level;
    return level < depth ? eat(level + 1) + bytes[0] : bytes[0];
}

int main(void)
{
    tt_port_print("before\n");
    return eat(0) & 1;
}
