/* Convolution and dense layers: forward, and both gradients. */
#include "tt_gradient.h"
#include "tt_sgd.h"
#include "tt_window.h"

/* Sum of (x - zero) * w. x - zero fits 9 bits, a product 16. */
static inline int32_t dot(size_t count, const int8_t *x, int16_t zero, const int8_t *w)
{
    int32_t acc = 0;
    for (size_t j = 0; j < count; j++) {
        acc += (int16_t)(x[j] - zero) * (int16_t)w[j];
    }
    return acc;
}

static inline int32_t dot_gathered(const tt_segment *segment, const int8_t *x, int16_t zero, const int8_t *w)
{
    int32_t acc = 0;
    for (size_t j = 0; j < segment->count; j++) {
        acc += (int16_t)(x[segment->channels[j]] - zero) * (int16_t)w[j];
    }
    return acc;
}

/* The part of output channel `o` that one segment contributes at one window; x points to the map.
 * At most 32,768 products over all segments, each at most 255 * 128 < 2^15: below 2^30. */
static int32_t segment_sum(const tt_window *window, const tt_segment *segment, tt_taps rows, tt_taps columns, size_t o,
                           const int8_t *x, int16_t zero)
{
    const size_t first = o / (window->out_c / window->groups) * (window->in_c / window->groups);
    /* Neighbouring taps of a row are neighbours in memory too, in x and in w: one long row. */
    const int whole_rows = segment->channels == NULL && segment->count == window->in_c && window->dilation_w == 1;
    int32_t acc = 0;
    if (columns.begin == columns.end) {
        return 0; /* the window lies beside the map, and no tap of it has an address */
    }
    for (uint32_t kh = rows.begin; kh < rows.end; kh++) {
        const int8_t *w = segment->weights +
                          ((o * window->kernel_h + kh) * window->kernel_w + columns.begin) * segment->count;
        if (whole_rows) {
            const size_t row = (size_t)(columns.end - columns.begin) * segment->count;
            acc += dot(row, x + tt_tap_offset(window, rows, columns, kh, columns.begin), zero, w);
            continue;
        }
        for (uint32_t kw = columns.begin; kw < columns.end; kw++, w += segment->count) {
            const int8_t *element = x + tt_tap_offset(window, rows, columns, kh, kw) + first;
            acc += segment->channels == NULL ? dot(segment->count, element, zero, w)
                                             : dot_gathered(segment, element, zero, w);
        }
    }
    return acc;
}

static int32_t accumulator(const tt_window *window, const tt_segment *segments, size_t segment_count, tt_taps rows,
                           tt_taps columns, size_t o, const int32_t *bias, const int8_t *x, int16_t zero)
{
    int32_t acc = bias[o];
    for (size_t s = 0; s < segment_count; s++) {
        acc += segment_sum(window, &segments[s], rows, columns, o, x, zero);
    }
    return acc;
}

void tt_conv2d_s8(const tt_window *window, const tt_requant *requant, const tt_segment *segments, size_t segment_count,
                  const int32_t *bias, const int8_t *x, int8_t *y)
{
    for (uint32_t oh = 0; oh < window->out_h; oh++) {
        const tt_taps rows = tt_rows_at(window, oh);
        for (uint32_t ow = 0; ow < window->out_w; ow++) {
            const tt_taps columns = tt_columns_at(window, ow);
            for (size_t o = 0; o < window->out_c; o++) {
                const int32_t acc = accumulator(window, segments, segment_count, rows, columns, o, bias, x,
                                                requant->input_zero);
                *y++ = tt_requantize_s8(requant, o, acc);
            }
        }
    }
}

void tt_conv2d_s8_s32(const tt_window *window, const tt_requant *requant, const tt_segment *segments,
                      size_t segment_count, const int32_t *bias, const int8_t *x, int32_t *y)
{
    for (uint32_t oh = 0; oh < window->out_h; oh++) {
        const tt_taps rows = tt_rows_at(window, oh);
        for (uint32_t ow = 0; ow < window->out_w; ow++) {
            const tt_taps columns = tt_columns_at(window, ow);
            for (size_t o = 0; o < window->out_c; o++) {
                *y++ = accumulator(window, segments, segment_count, rows, columns, o, bias, x, requant->input_zero);
            }
        }
    }
}

#define TT_BODY "tt_conv2d_grad.inc.h"
#include "tt_each_dtype.inc.h"
