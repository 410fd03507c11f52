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

void tt_depthwise_conv2d_s8(const tt_window *window, const tt_requant *requant,
                            const int8_t *weights, const uint16_t *outputs, size_t count,
                            const int32_t *bias, const int8_t *x, int8_t *y, void *workspace)
{
    const size_t area = (size_t)window->kernel_h * window->kernel_w;
    const size_t multiple = window->out_c / window->in_c;
    const uint32_t outputs_each = tt_strip_outputs(window);
    int32_t *sums = workspace;
    int32_t *values = sums + (size_t)outputs_each * window->out_w;
    /* A strip goes through all channels, which are neighbours in memory. In place a channel goes
     * through all strips, and no row is read twice: what the next strip needs of this one stays in
     * the workspace. A strip reads down to its last output row at least, since strides are 1 and
     * padding is less than the window, so that no output lies over a row that is still to be read.
     */
    const size_t together = x == y ? 1 : count;
    for (size_t begin = 0; begin < count; begin += together) {
        tt_strip strip = {.rows = 0};
        for (uint32_t first = 0; first < window->out_h; first += outputs_each) {
            const tt_strip next = tt_strip_at(window, first, outputs_each);
            const uint32_t kept = x == y ? tt_strip_advance(&strip, &next, values) : 0;
            size_t held = window->in_c;
            strip = next;
            for (size_t k = begin; k < begin + together; k++) {
                const size_t o = listed(outputs, k);
                const size_t channel = multiple == 1 ? o : o / multiple;
                if (channel != held) {
                    tt_strip_fill(&strip, kept, x + channel, requant->input_zero, values);
                    held = channel;
                }
                tt_strip_sums(&strip, values, weights + k * area, bias[o], sums);
                tt_requantize_rows(requant, o, 1, (size_t)strip.outputs * window->out_w, sums,
                                   y + first * window->out_w * window->out_c + o, window->out_c);
            }
        }
    }
}

/* Rows of the input gradient that are summed at a time, which bounds the workspace; but where dx
 * may be g, the whole of a map whose sums take no more than TT_BAND_BYTES: a channel is read to its
 * end before any of it is written. */
#define TT_BAND_ROWS 8U
#define TT_BAND_BYTES 5120U

static uint32_t band_rows(const tt_window *window, size_t width)
{
    const int is_alike = window->in_h == window->out_h && window->in_w == window->out_w &&
                         window->in_c == window->out_c && window->stride_h == 1 &&
                         window->stride_w == 1;
    return is_alike && 4U * window->in_h * width <= TT_BAND_BYTES ? window->in_h : TT_BAND_ROWS;
}

#define TT_BODY "tt_depthwise_conv2d_grad.inc.h"
#include "tt_each_dtype.inc.h"
