/* Samples of a model `small`, and numbers, that look random and are the same in every run. */
#ifndef SMALL_SAMPLES_H
#define SMALL_SAMPLES_H

#include "small.h"

/* The next number, below `below`, which is at most 2^24. */
static inline uint32_t draw(uint32_t below)
{
    static uint32_t random = 1;
    random = random * 1664525U + 1013904223U;
    return (random >> 8) % below;
}

static inline void fill(small_state *to, uint32_t seed)
{
    int8_t *const x = small_input(to);
    for (size_t i = 0; i < SMALL_INPUT_SIZE; i++) {
        seed = seed * 1664525U + 1013904223U;
        x[i] = (int8_t)(seed >> 24);
    }
}

#endif
