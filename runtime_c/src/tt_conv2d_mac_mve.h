/* Inner products of two rows of inputs with rows of weights, for convolutions and dense layers and
 * their weights. */
#ifndef TT_CONV2D_MAC_MVE_H
#define TT_CONV2D_MAC_MVE_H

#if defined(__ARM_FEATURE_MVE)

#include <stddef.h>
#include <stdint.h>

/* One slice of the rows of weights of 2 * pairs outputs: its chunks, the elements of the last, and
 * what is special. */
typedef struct {
    const int8_t *w;
    int32_t *acc;
    size_t pairs;
    size_t step;   /* from row to row */
    uint32_t tail; /* 1 to 16 */
    uint32_t form;
} tt_mac_slice;

/* A form is the number of chunks, 1 to 3, and what of these holds. */
enum {
    TT_MAC_FIRST = 4, /* sums begin at 0 */
    TT_MAC_TAIL = 8,  /* the last chunk may have less than 16 elements; a single chunk always may */
    TT_MAC_DENSE = 16 /* first, without tail, step is 16 * chunks */
};

/* acc[o][p] (+)= sum of x_p[j] * w[o * step + j] over the slice. */
void tt_mac_slice_mve(const tt_mac_slice *slice, const int8_t *x0, const int8_t *x1);

/* Completes the last slice of rows of `count` weights, whose form has its chunks and whether it is
 * the first. */
static inline void tt_end_slice(size_t count, tt_mac_slice *slice)
{
    const uint32_t chunks = slice->form & 3U;
    slice->tail = (uint32_t)(count - 1) % 16 + 1;
    if (chunks > 1 && slice->tail != 16) {
        slice->form += TT_MAC_TAIL;
    } else if (chunks > 1 && 16 * chunks == count && (slice->form & TT_MAC_FIRST) != 0) {
        slice->form += TT_MAC_DENSE;
    }
}

/* The only slice of rows of at most 48 weights. */
static inline tt_mac_slice tt_first_slice(size_t count, const int8_t *w, size_t outputs,
                                          int32_t *acc)
{
    tt_mac_slice slice = {w,     acc, outputs / 2,
                          count, 16,  (uint32_t)((count + 15) / 16) + TT_MAC_FIRST};
    tt_end_slice(count, &slice);
    return slice;
}

/* acc[o][p] (+)= sum over j < count of x_p[j] * w[o * count + j]. Raw products: |x * w| <= 2^14, at
 * most 32,768 of them, below 2^30. */
void tt_mac_rows_mve(size_t count, const int8_t *x0, const int8_t *x1, const int8_t *w,
                     size_t outputs, int is_first, int32_t *acc);

#endif
#endif
