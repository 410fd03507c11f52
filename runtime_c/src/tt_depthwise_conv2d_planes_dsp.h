/* Planes for tt_depthwise_conv2d_rows_dsp.h: a strip of a map, four channels at a time, each on its
 * own. */
#ifndef TT_DEPTHWISE_CONV2D_PLANES_DSP_H
#define TT_DEPTHWISE_CONV2D_PLANES_DSP_H

#include "tt_lanes_dsp.h"

#if defined(__ARM_FEATURE_SIMD32)

/* Channels whose planes are in the workspace at once. */
#define TT_PLANES 4U

/* Workspace that strips are cut to, in bytes, where a strip of one row does not need more. */
#define TT_STRIP_BYTES_DSP 6144

/* The low half of low and the high half of high. */
static inline int32_t tt_low_and_high(int32_t low, int32_t high)
{
    int32_t pair;
    __asm__("pkhbt %0, %1, %2" : "=r"(pair) : "r"(low), "r"(high));
    return pair;
}

typedef struct {
    const int8_t *map;       /* first element of channel 0 */
    uint32_t height, width;  /* rows and columns that are taken from it */
    uint32_t row_step, step; /* elements from one of its rows to the next, from one column to the
                                next */
    uint32_t top, left;      /* row and column of planes where it begins */
    uint32_t pitch;          /* words from one row of a plane to the next */
    uint32_t rows;           /* of a plane in the workspace */
    uint32_t strip;          /* row of the whole plane that stands first in the workspace */
    uint32_t *planes;        /* [TT_PLANES][rows][pitch] */
} tt_planes;

/* Where rows of pairs of elements of four channels come from and go to. Steps and sizes are in
 * bytes. */
typedef struct {
    uint32_t plane;     /* from one plane to the next */
    uint32_t step;      /* from one element to the next */
    uint32_t back;      /* from the end of a row to the next */
    uint32_t row_bytes; /* of a row in a plane, at least one word */
    uint32_t skip;      /* from its end to the next row's first word */
    uint32_t rows;      /* 0: there are no pairs */
} tt_planes_pairs;

/* Rows of the strip that are to be filled. */
typedef struct {
    uint32_t from, begin, end; /* rows [begin, end) lie in the map, others from `from` on do not */
    size_t rows, columns;
    size_t odd;            /* 1 where the map begins in the high half of a word, or 0 */
    int single;            /* whether a column has no other for a pair */
    size_t row_step, step; /* elements from one row of the map to the next, from one column to the
                              next */
    size_t pitch, plane; /* words from one row of a plane to the next, from one plane to the next */
    ptrdiff_t x;         /* where they begin: element of the map */
    size_t to;           /* and word of the first plane */
    tt_planes_pairs pairs;
} tt_planes_rows;

/* What an element becomes on its way into a plane: pre(G, m) with the factor of its channel, of up
 * to TT_PLANES, or, where factors is NULL, the element less zero. */
typedef struct {
    const int16_t *factors;
    int8_t zero;
} tt_planes_values;

/* The first `count` of channel become entries k, k + 1, ... of a list of channels, or those numbers
 * where there is none; the others are of no use. */
static inline void tt_planes_channels(const uint16_t *list, size_t k, size_t count,
                                      uint16_t channel[TT_PLANES])
{
    if (list == NULL) {
#pragma GCC unroll 4
        for (size_t i = 0; i < TT_PLANES; i++) {
            channel[i] = (uint16_t)(k + i);
        }
        return;
    }
    for (size_t i = 0; i < count; i++) {
        channel[i] = list[k + i];
    }
}

/* Sets all planes to 0. What lies outside the map stays so, but for rows above and below it while
 * strips change. */
void tt_planes_clear_dsp(const tt_planes *planes);

/* Which rows [from, rows) of the strip come from where. */
tt_planes_rows tt_planes_rows_dsp(const tt_planes *planes, uint32_t from);

/* Sets those of them that lie outside the map to 0, in `count` planes. */
void tt_planes_outside_dsp(const tt_planes *planes, const tt_planes_rows *rows, size_t count);

/* Fills those that lie in the map, in `count` <= TT_PLANES planes, from its channels channel[0] <
 * channel[1] < ... */
void tt_planes_fill_dsp(const tt_planes *planes, const tt_planes_rows *rows,
                        const uint16_t *channel, size_t count, const tt_planes_values *values);

/* Makes the strip begin `ahead` rows further down; rows of both strips move up. Returns the first
 * row to be filled. */
uint32_t tt_planes_advance_dsp(tt_planes *planes, size_t count, uint32_t ahead);

#endif
#endif
