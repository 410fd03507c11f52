/* Random operands within a kernel's contract, the ends of every range likely. */
#ifndef TEST_OPERANDS_H
#define TEST_OPERANDS_H

#include "test_arena.h"
#include "test_case.h"

typedef struct {
    test_arena *arena;
    uint32_t random;
} test_operands;

uint32_t draw_word(test_operands *operands);
/* In [low, high]. */
int32_t draw_between(test_operands *operands, int32_t low, int32_t high);
/* True one time in `times`. */
int draw_once_in(test_operands *operands, uint32_t times);

/* Buffers that are filled: any s8; a gradient within +-127; weights; s32 within +-2^30. */
int8_t *draw_s8(test_operands *operands, const char *name, size_t size);
int8_t *draw_gradient(test_operands *operands, const char *name, size_t size);
int32_t *draw_bias(test_operands *operands, size_t size);
int8_t draw_zero(test_operands *operands);

tt_requant draw_requant(test_operands *operands, size_t channels);

/* Segments that cover `channels` channels of a group, with
 * weights[out_c][kernel_h][kernel_w][count]. */
size_t draw_segments(test_operands *operands, const test_case *test, const tt_window *window,
                     tt_segment segments[3]);

/* A segment that is some columns of rows with more of them: its weights anew. */
void draw_slice(test_operands *operands, const tt_window *window, tt_segment *segment);

/* Sums of slices that came before, within +-2^28. */
int32_t *draw_sums(test_operands *operands, size_t size);

/* A list of `count` of `all` outputs, in whole runs of `multiple`; NULL where it may be. */
uint16_t *draw_outputs(test_operands *operands, const test_case *test, size_t all, size_t multiple);

/* Factors for `groups` sums of `per_group` channels each: taps * 128 * sum of (m + 1) <= 2^30 for
 * every sum. */
tt_factors draw_factors(test_operands *operands, size_t groups, size_t per_group, size_t taps);

/* A rescale for sums within `bound`. */
tt_rescale draw_rescale(test_operands *operands, int32_t bound);

typedef struct {
    tt_update update;
    tt_step step;
} test_rule;
test_rule draw_rule(test_operands *operands, size_t channels);
tt_trained draw_trained(test_operands *operands, uint32_t fraction_bits, size_t size);

#endif
