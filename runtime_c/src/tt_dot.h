/* The inner loop of convolutions and dense layers; tt_dot.c is what an instruction set replaces first. */
#ifndef TT_DOT_H
#define TT_DOT_H

#include "tt_kernels.h"

/* Output channels that one pass over the inputs serves. */
#define TT_DOT_OUTPUTS 4U

/* acc[k] += sum over j < count of (x[i] - zero) * w[k * step + j], k < outputs <= TT_DOT_OUTPUTS; i is
 * channels[j], or j where channels is NULL. A product is at most 255 * 128 < 2^15; the caller bounds acc.
 *
 * It stands in a file of its own because gcc, where it sees that the products fit 16 bits, multiplies in
 * 16 bits and widens, which takes twice the instructions of the multiply-add of pairs. */
void tt_dot_s8(size_t outputs, size_t count, const uint16_t *channels, const int8_t *x, int16_t zero, const int8_t *w,
               size_t step, int32_t *acc);

#endif
