/* Single-precision numbers as bits. */
#ifndef TT_FLOAT_H
#define TT_FLOAT_H

#include <float.h>
#include <stdint.h>
#include <string.h>

#include "tt_flags.h"

/* Wider intermediate results (x87) would give other bits; 16 concerns half precision alone.
 * Contraction to fused multiply-add would too: -std=c11 or -ffp-contract=off forbids it. */
_Static_assert(FLT_EVAL_METHOD == 0 || FLT_EVAL_METHOD == 16,
               "single-precision operations must round to single precision");

static inline uint32_t tt_bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float tt_float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* 2^k. Requires -126 <= k <= 127. */
static inline float tt_power_of_two(int32_t k)
{
    return tt_float_of((uint32_t)(k + 127) << 23);
}

/* k of value = f * 2^k, 0.5 <= f < 1. Requires a positive normal number, or infinity (129). */
static inline int32_t tt_exponent_of(float value)
{
    return (int32_t)(tt_bits_of(value) >> 23) - 126;
}

#endif
