/* The bytes that a fuzzer gives, read one after the other; behind their end all are 0. */
#ifndef INPUT_H
#define INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program at the first condition that does not hold, so that the fuzzer keeps the input.
 */
#define HOLDS(condition)                                                          \
    do {                                                                          \
        if (!(condition)) {                                                       \
            fprintf(stderr, "%s, line %d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                              \
        }                                                                         \
    } while (0)

typedef struct {
    const uint8_t *at;
    size_t left;
} input;

static inline void take(input *in, void *data, size_t size)
{
    const size_t there = size < in->left ? size : in->left;
    memset(data, 0, size);
    if (there > 0) {
        memcpy(data, in->at, there);
        in->at += there;
        in->left -= there;
    }
}

static inline uint8_t take_u8(input *in)
{
    uint8_t value;
    take(in, &value, sizeof value);
    return value;
}

static inline uint16_t take_u16(input *in)
{
    uint16_t value;
    take(in, &value, sizeof value);
    return value;
}

static inline uint32_t take_u32(input *in)
{
    uint32_t value;
    take(in, &value, sizeof value);
    return value;
}

/* Any float there is, NaN and infinities included. */
static inline float take_float(input *in)
{
    float value;
    take(in, &value, sizeof value);
    return value;
}

/* Many values from few bytes: the first byte of the input says whether they stand there, or come
 * from a generator that the next one starts. */
static inline void take_many(input *in, void *data, size_t size)
{
    uint8_t *bytes = data;
    if (take_u8(in) & 1U) {
        take(in, data, size);
        return;
    }
    uint32_t random = take_u8(in);
    for (size_t i = 0; i < size; i++) {
        random = random * 1664525U + 1013904223U;
        bytes[i] = (uint8_t)(random >> 24);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
