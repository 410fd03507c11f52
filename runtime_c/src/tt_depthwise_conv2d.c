/* Depthwise convolution: forward, and both gradients. */
#include "tt_gradient.h"
#include "tt_sgd.h"
#include "tt_window.h"

/* The k-th output channel of a list, or k itself. */
static inline size_t listed(const uint16_t *outputs, size_t k)
{
    return outputs == NULL ? k : outputs[k];
}

/* Sum of (x - zero) * w over the taps inside the map; x points to the channel in the first element of the
 * map. At most 32,768 products of 255 * 128: below 2^30. */
static int32_t tap_sum(const tt_window *window, tt_taps rows, tt_taps columns, const int8_t *x, int16_t zero,
                       const int8_t *w)
{
    const size_t step = (size_t)window->in_c * window->dilation_w;
    int32_t acc = 0;
    for (uint32_t kh = rows.begin; kh < rows.end; kh++) {
        size_t element = tt_tap_offset(window, rows, columns, kh, columns.begin);
        const int8_t *row = w + (size_t)kh * window->kernel_w;
        for (uint32_t kw = columns.begin; kw < columns.end; kw++, element += step) {
            acc += (int16_t)(x[element] - zero) * (int16_t)row[kw];
        }
    }
    return acc;
}

void tt_depthwise_conv2d_s8(const tt_window *window, const tt_requant *requant, const int8_t *weights,
                            const uint16_t *outputs, size_t count, const int32_t *bias, const int8_t *x, int8_t *y,
                            void *scratch)
{
    (void)scratch;
    const size_t area = (size_t)window->kernel_h * window->kernel_w;
    const size_t multiple = window->out_c / window->in_c;
    for (uint32_t oh = 0; oh < window->out_h; oh++) {
        const tt_taps rows = tt_rows_at(window, oh);
        for (uint32_t ow = 0; ow < window->out_w; ow++, y += window->out_c) {
            const tt_taps columns = tt_columns_at(window, ow);
            for (size_t k = 0; k < count; k++) {
                const size_t o = listed(outputs, k);
                const int32_t sum =
                    tap_sum(window, rows, columns, x + o / multiple, requant->input_zero, weights + k * area);
                y[o] = tt_requantize_s8(requant, o, bias[o] + sum);
            }
        }
    }
}

#define TT_BODY "tt_depthwise_conv2d_grad.inc.h"
#include "tt_each_dtype.inc.h"
