/* A deep path, a shallow one, an indirect call and library helpers, all really taken. */
#include <string.h>

#include "tt_port.h"

#define NOINLINE __attribute__((noinline))

typedef int (*callback)(void *context, const void *data, size_t size);

static volatile uint32_t seed = 7;
static uint8_t copy[600];

static NOINLINE int leaf(uint32_t value)
{
    volatile uint8_t bytes[500];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(value + i);
    }
    return bytes[value & 255U];
}

static NOINLINE int middle(uint32_t value)
{
    volatile uint32_t words[100];
    for (uint32_t i = 0; i < 100; i++) {
        words[i] = (uint32_t)leaf(value + i);
    }
    return (int)words[value & 63U];
}

static NOINLINE int store(void *context, const void *data, size_t size)
{
    volatile uint8_t own[200];
    own[0] = own[199] = (uint8_t)size;
    memcpy(context, data, size);
    /* Its frame is still needed after the call, so that the call is none at the tail. */
    return middle(seed) + own[0] - own[199];
}

/* Calls through a pointer, as the save function of a model does. */
int save(callback write, void *context);
NOINLINE int save(callback write, void *context)
{
    uint8_t header[40];
    memset(header, (int)seed, sizeof header);
    return write(context, header, sizeof header);
}

static NOINLINE float arithmetic(uint32_t value)
{
    const float x = (float)value / 3.0f;
    const int64_t big = (int64_t)value * -77777777777LL / ((int64_t)value + 3);
    return x * (float)(big % 1000) + (float)(uint64_t)(x + 1.0f);
}

int main(void)
{
    char digits[12] = "0000000000\n";
    const int result = save(store, copy) + (int)arithmetic(seed);
    uint32_t used = tt_port_stack_used();
    for (size_t i = 10; i-- > 0; used /= 10U) {
        digits[i] = (char)('0' + used % 10U);
    }
    tt_port_print(digits);
    return result == -1;
}
