/* Convolution and dense layers: forward, and both gradients. */
#include "tt_dot.h"
#include "tt_gradient.h"
#include "tt_sgd.h"
#include "tt_window.h"

/* acc[k] += what one segment contributes to output channel o + k at one window; x points to the map, and the
 * channels are of one group. */
static void add_segment(const tt_window *window, const tt_segment *segment, tt_taps rows, tt_taps columns, size_t o,
                        size_t outputs, const int8_t *x, int16_t zero, int32_t *acc)
{
    const size_t first = o / (window->out_c / window->groups) * (window->in_c / window->groups);
    const size_t step = (size_t)window->kernel_h * window->kernel_w * segment->count;
    /* Neighbouring taps of a row are neighbours in memory too, in x and in w: one long row. */
    const int whole_rows = segment->channels == NULL && segment->count == window->in_c && window->dilation_w == 1;
    const uint32_t taps = whole_rows ? columns.end - columns.begin : 1;
    const int8_t *w = segment->weights + o * step;
    for (uint32_t kh = rows.begin; kh < rows.end; kh++) {
        for (uint32_t kw = columns.begin; kw < columns.end; kw += taps) {
            const int8_t *element = x + tt_tap_offset(window, rows, columns, kh, kw) + first;
            const size_t tap = (size_t)kh * window->kernel_w + kw;
            tt_dot_s8(outputs, taps * segment->count, segment->channels, element, zero, w + tap * segment->count, step,
                      acc);
        }
    }
}

/* The accumulators of output channels o, o + 1, ... at one window, as many as one pass can serve in the group
 * of o; returns how many. At most 32,768 products below 2^15 and a bias within 2^30: below 2^31. */
static size_t accumulate(const tt_window *window, const tt_segment *segments, size_t segment_count, tt_taps rows,
                         tt_taps columns, size_t o, const int32_t *bias, const int8_t *x, int16_t zero, int32_t *acc)
{
    const size_t per_group = window->out_c / window->groups;
    const size_t left = per_group - o % per_group;
    const size_t outputs = left < TT_DOT_OUTPUTS ? left : TT_DOT_OUTPUTS;
    for (size_t k = 0; k < outputs; k++) {
        acc[k] = bias[o + k];
    }
    for (size_t s = 0; s < segment_count; s++) {
        add_segment(window, &segments[s], rows, columns, o, outputs, x, zero, acc);
    }
    return outputs;
}

void tt_conv2d_s8(const tt_window *window, const tt_requant *requant, const tt_segment *segments, size_t segment_count,
                  const int32_t *bias, const int8_t *x, int8_t *y, void *scratch)
{
    (void)scratch;
    for (uint32_t oh = 0; oh < window->out_h; oh++) {
        const tt_taps rows = tt_rows_at(window, oh);
        for (uint32_t ow = 0; ow < window->out_w; ow++, y += window->out_c) {
            const tt_taps columns = tt_columns_at(window, ow);
            for (size_t o = 0; o < window->out_c;) {
                int32_t acc[TT_DOT_OUTPUTS];
                const size_t outputs = accumulate(window, segments, segment_count, rows, columns, o, bias, x,
                                                  requant->input_zero, acc);
                for (size_t k = 0; k < outputs; k++, o++) {
                    y[o] = tt_requantize_s8(requant, o, acc[k]);
                }
            }
        }
    }
}

void tt_conv2d_s8_s32(const tt_window *window, const tt_requant *requant, const tt_segment *segments,
                      size_t segment_count, const int32_t *bias, const int8_t *x, int32_t *y, void *scratch)
{
    (void)scratch;
    for (uint32_t oh = 0; oh < window->out_h; oh++) {
        const tt_taps rows = tt_rows_at(window, oh);
        for (uint32_t ow = 0; ow < window->out_w; ow++, y += window->out_c) {
            const tt_taps columns = tt_columns_at(window, ow);
            for (size_t o = 0; o < window->out_c;) {
                o += accumulate(window, segments, segment_count, rows, columns, o, bias, x, requant->input_zero, y + o);
            }
        }
    }
}

#define TT_BODY "tt_conv2d_grad.inc.h"
#include "tt_each_dtype.inc.h"
