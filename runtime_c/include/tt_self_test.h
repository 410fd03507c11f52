/* What NAME_self_test stands on: a model trains a few steps on made samples, and what it then holds
 * is compared with what the compiler worked out. Generated code calls this. */
#ifndef TT_SELF_TEST_H
#define TT_SELF_TEST_H

#include "tt_state.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TT_SELF_TEST_STEPS 4

/* Fills s8 elements with the upper bytes of a linear congruential generator, less 128, over a
 * divisor of 1 to 128, rounded toward zero. random: what it starts from; returns what it goes on
 * from. */
uint32_t tt_self_test_fill(uint32_t random, int32_t divisor, size_t size, int8_t *out);

/* CRC-32, which goes on from `crc`, of the trained tensors, of the scales as a saved file has them,
 * and of the rate, the seed and the count of steps. */
uint32_t tt_self_test_crc(uint32_t crc, const tt_model *model, const void *state);

#ifdef __cplusplus
}
#endif

#endif
