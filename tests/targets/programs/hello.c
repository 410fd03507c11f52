/* Everything that a port offers, and what start-up code has to have done; prints numbers in hex. */
#include <string.h>

#include "part.h"
#include "tt_port.h"

#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>
#endif

static uint8_t buffer[300];
static uint8_t zeros[64];
static volatile uint32_t data[4] = {1, 2, 3, 0x12345678};
static volatile float one = 1.0f;
static volatile float three = 3.0f;

static void print_hex(const char *label, uint64_t value)
{
    char text[17];
    for (int i = 15; i >= 0; i--) {
        text[i] = "0123456789abcdef"[value & 15U];
        value >>= 4;
    }
    text[16] = '\0';
    tt_port_print(label);
    tt_port_print(" ");
    tt_port_print(text);
    tt_port_print("\n");
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* 3 instructions a round and nothing else. */
static void spin(uint32_t rounds)
{
#if defined(__arm__)
    __asm volatile("1: sub %0, #1\n cmp %0, #0\n bne 1b\n" : "+l"(rounds) : : "cc");
#elif defined(__riscv)
    __asm volatile("1: addi %0, %0, -1\n nop\n bnez %0, 1b\n" : "+r"(rounds));
#else
    (void)rounds;
#endif
}

int main(void)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof zeros; i++) {
        sum += zeros[i];
    }
    print_hex("data", data[3]);
    print_hex("bss", sum);
    print_hex("part", (uint64_t)(part[0] * 100 + part[1] * 10 + part[2]));

    print_hex("missing", (uint64_t)(tt_port_open("no such file", 0) < 0));
    const int in = tt_port_open("in.bin", 0);
    print_hex("read", (uint64_t)(tt_port_read(in, buffer, 256) == 0));
    print_hex("beyond", (uint64_t)(tt_port_read(in, buffer + 256, 1) != 0));
    tt_port_close(in);
    tt_port_close(-1);
    print_hex("closed", (uint64_t)(tt_port_read(-1, buffer, 1) != 0));

    const int out = tt_port_open("out.bin", 1);
    print_hex("written", (uint64_t)(tt_port_write(out, buffer, 100) == 0));
    print_hex("appended", (uint64_t)(tt_port_write(out, buffer + 100, 156) == 0));
    tt_port_close(out);

    print_hex("third", bits_of(one / three));
    /* Fused, this would be the rounding error of the product and not 0. */
    const float third = one / three;
    print_hex("unfused", bits_of(third * three - one));
#if defined(__ARM_FEATURE_MVE)
    const int8x16_t left = vdupq_n_s8(3);
    const int8x16_t right = vdupq_n_s8(-5);
    print_hex("vector", (uint32_t)vmladavq_s8(left, right));
#endif

    (void)tt_port_instructions();
    for (int i = 0; i < 3; i++) {
        const uint64_t start = tt_port_instructions();
        spin(1000000);
        print_hex("count", tt_port_instructions() - start);
    }
    /* More than 2^24 ticks, read so often that a wrap is likely to fall into a reading. */
    const uint64_t start = tt_port_instructions();
    uint64_t last = start;
    uint32_t backward = 0;
    for (int i = 0; i < 20000; i++) {
        spin(24000);
        const uint64_t now = tt_port_instructions();
        backward += now < last;
        last = now;
    }
    print_hex("long", last - start);
    print_hex("backward", backward);
    print_hex("stack", tt_port_stack_used());
    return 42;
}
