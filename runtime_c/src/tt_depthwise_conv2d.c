/* Depthwise convolution: forward, and both gradients. */
#include "tt_gradient.h"
#include "tt_sgd.h"
#include "tt_strip.h"
#include "tt_window.h"

/* The k-th output channel of a list, or k itself. */
static inline size_t listed(const uint16_t *outputs, size_t k)
{
    return outputs == NULL ? k : outputs[k];
}

void tt_depthwise_conv2d_s8(const tt_window *window, const tt_requant *requant, const int8_t *weights,
                            const uint16_t *outputs, size_t count, const int32_t *bias, const int8_t *x, int8_t *y,
                            void *scratch)
{
    const size_t area = (size_t)window->kernel_h * window->kernel_w;
    const size_t multiple = window->out_c / window->in_c;
    int32_t *sums = scratch;
    const uint32_t outputs_each = tt_strip_outputs(window);
    for (uint32_t first = 0; first < window->out_h; first += outputs_each) {
        const tt_strip strip = tt_strip_at(window, first, outputs_each);
        const size_t positions = (size_t)strip.outputs * window->out_w;
        int32_t *values = sums + positions;
        size_t held = window->in_c;
        for (size_t k = 0; k < count; k++) {
            const size_t o = listed(outputs, k);
            const size_t channel = multiple == 1 ? o : o / multiple;
            if (channel != held) {
                tt_strip_fill(&strip, x + channel, requant->input_zero, values);
                held = channel;
            }
            tt_strip_sums(&strip, values, weights + k * area, bias[o], sums);
            tt_requantize_rows(requant, o, 1, positions, sums, y + first * window->out_w * window->out_c + o,
                               window->out_c);
        }
    }
}

/* Rows of the input gradient that are summed at a time, which bounds scratch. */
#define TT_BAND_ROWS 8U

#define TT_BODY "tt_depthwise_conv2d_grad.inc.h"
#include "tt_each_dtype.inc.h"
