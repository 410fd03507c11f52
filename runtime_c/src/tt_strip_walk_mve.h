/* Windows of one channel along strips, four positions at a time. */
#ifndef TT_STRIP_WALK_MVE_H
#define TT_STRIP_WALK_MVE_H

#include <stddef.h>
#include <stdint.h>

enum {
    TT_STRIP_VECTORS = 4, /* of weights, at most */
    TT_STRIP_ROWS_MVE = 4 /* of outputs that a strip serves, at most */
};

/* One output channel on its way through the strips. The loops over it are in assembly, for the
 * pairs of moves, VMLADAVA's even registers and the stepping address vectors, and load what they
 * need from here by the offsets on the right: gcc does not manage to hand over so many
 * registers. */
typedef struct {
    int32_t bias; /* 0: with the zero point taken out */
    int32_t multiplier;
    int32_t zero;
    uint32_t step;       /* 12: bytes of y from four positions to the next */
    uint32_t strip_size; /* 16 */
    uint32_t unused;     /* vectors stay aligned to 8 bytes */
    uint32_t address[4]; /* 24: of the words before the first window of a strip, relative to the
                            strip */
    uint32_t fifth[4];   /* 40: the same for what the third vector of three reads */
    uint16_t to_pair[8]; /* 56: where the lanes of a pair of rows go, relative to y */
    uint32_t to_row[4];  /* 72: and those of one row */
    int8_t lo[16];       /* 88 */
    int8_t hi[16];       /* 104 */
    uint32_t groups;     /* 120: of four positions; from here on of the walk */
    uint32_t strips;     /* 124 */
    uint32_t inside;     /* 128: predicate of the stores */
    uint32_t gap;        /* 132: bytes of y from the end of a row to the one in the next strip */
    int8_t w[TT_STRIP_ROWS_MVE][TT_STRIP_VECTORS][16]; /* 136: of each output row of a strip */
} tt_lane_job;

/* A row of outputs, or a pair, in each of some strips: all of its fours of positions, or the rest
 * of them. */
typedef struct {
    uint32_t groups;
    uint32_t strips;
    uint32_t inside;
    uint32_t gap;
    uint32_t form;       /* of tt_take_walk_mve */
    size_t strip_offset; /* of the first strip, and of the position in it */
    size_t y_offset;
    size_t w_offset;
} tt_walk;

_Static_assert(offsetof(tt_lane_job, step) == 12 && offsetof(tt_lane_job, strip_size) == 16 &&
                   offsetof(tt_lane_job, address) == 24 && offsetof(tt_lane_job, fifth) == 40 &&
                   offsetof(tt_lane_job, to_pair) == 56 && offsetof(tt_lane_job, to_row) == 72 &&
                   offsetof(tt_lane_job, lo) == 88 && offsetof(tt_lane_job, hi) == 104 &&
                   offsetof(tt_lane_job, groups) == 120 && offsetof(tt_lane_job, strips) == 124 &&
                   offsetof(tt_lane_job, inside) == 128 && offsetof(tt_lane_job, gap) == 132,
               "the assembly knows these offsets");

/* A form is the vectors of a window, 1, 3 or 4, or 2 for a pair of rows of one vector each, and
 * what of these holds. */
enum {
    TT_WALK_DOUBLE = 8,  /* stride_w is 2 */
    TT_WALK_CLAMPED = 16 /* lo and hi are not those of s8 */
};

/* The outputs of a walk; strip and y point to the channel. */
void tt_take_walk_mve(tt_lane_job *job, const tt_walk *walk, const int8_t *strip, int8_t *y);

#endif
