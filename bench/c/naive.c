/* The kernels as a textbook has them: one loop for each index, nothing kept, nothing hoisted.
 * Same results as tt_kernels.h for one segment without a list and for all outputs of a depthwise
 * layer. */
#include "naive.h"
#include "tt_gradient.h"
#include "tt_requantize.h"
#include "tt_sgd.h"

static int inside(const tt_window *window, int32_t row, int32_t column)
{
    return row >= 0 && row < window->in_h && column >= 0 && column < window->in_w;
}

/* Sum over the taps and the input channels [first, first + count) of one output; w is that
 * output's. */
static int32_t window_sum(const tt_window *window, int32_t oh, int32_t ow, int32_t first,
                          int32_t count, int8_t zero, const int8_t *x, const int8_t *w)
{
    int32_t acc = 0;
    for (int32_t kh = 0; kh < window->kernel_h; kh++) {
        for (int32_t kw = 0; kw < window->kernel_w; kw++) {
            const int32_t row = oh * window->stride_h - window->pad_top + kh * window->dilation_h;
            const int32_t column =
                ow * window->stride_w - window->pad_left + kw * window->dilation_w;
            if (!inside(window, row, column)) {
                continue;
            }
            for (int32_t i = 0; i < count; i++) {
                const int32_t element =
                    x[(row * window->in_w + column) * window->in_c + first + i] - zero;
                acc += element * w[(kh * window->kernel_w + kw) * count + i];
            }
        }
    }
    return acc;
}

static void convolve(const tt_window *window, const tt_requant *requant, const int8_t *weights,
                     const int32_t *bias, const int8_t *x, int8_t *y)
{
    const int32_t count = window->in_c / window->groups;
    for (int32_t oh = 0; oh < window->out_h; oh++) {
        for (int32_t ow = 0; ow < window->out_w; ow++) {
            for (int32_t o = 0; o < window->out_c; o++) {
                const int32_t first = o / (window->out_c / window->groups) * count;
                const int8_t *w = weights + o * window->kernel_h * window->kernel_w * count;
                const int32_t acc =
                    bias[o] + window_sum(window, oh, ow, first, count, requant->input_zero, x, w);
                y[(oh * window->out_w + ow) * window->out_c + o] =
                    tt_requantize_s8(requant, (size_t)o, acc);
            }
        }
    }
}

void naive_conv2d_s8(const tt_window *window, const tt_requant *requant, const tt_segment *segments,
                     size_t segment_count, const int32_t *bias, const int8_t *x, int8_t *y,
                     void *workspace, size_t workspace_bytes)
{
    (void)segment_count;
    (void)workspace;
    (void)workspace_bytes;
    convolve(window, requant, segments->weights, bias, x, y);
}

void naive_depthwise_conv2d_s8(const tt_window *window, const tt_requant *requant,
                               const int8_t *weights, const uint16_t *outputs, size_t count,
                               const int32_t *bias, const int8_t *x, int8_t *y, void *workspace)
{
    (void)outputs;
    (void)count;
    (void)workspace;
    convolve(window, requant, weights, bias, x, y);
}

/* Sum over taps and over the outputs [first, first + count) of the gradient of one input element;
 * weights begins at the entry of its channel, and steps to the next tap by `step`. */
static int32_t gradient_sum(const tt_window *window, int32_t row, int32_t column, int32_t first,
                            int32_t count, int32_t step, const int8_t *weights,
                            const tt_factors *factors, const int8_t *g)
{
    int32_t acc = 0;
    for (int32_t kh = 0; kh < window->kernel_h; kh++) {
        for (int32_t kw = 0; kw < window->kernel_w; kw++) {
            const int32_t down = row + window->pad_top - kh * window->dilation_h;
            const int32_t right = column + window->pad_left - kw * window->dilation_w;
            const int32_t oh = down / window->stride_h;
            const int32_t ow = right / window->stride_w;
            if (down < 0 || right < 0 || down % window->stride_h != 0 ||
                right % window->stride_w != 0 || oh >= window->out_h || ow >= window->out_w) {
                continue;
            }
            for (int32_t o = first; o < first + count; o++) {
                const int8_t element = g[(oh * window->out_w + ow) * window->out_c + o];
                const int32_t tap = (o * window->kernel_h + kh) * window->kernel_w + kw;
                acc += tt_factored_s8(element, factors, (size_t)o) * weights[tap * step];
            }
        }
    }
    return acc;
}

static void input_gradient(const tt_window *window, const int8_t *weights,
                           const tt_factors *factors, const tt_rescale *rescale, const int8_t *g,
                           int8_t *dx)
{
    const int32_t inputs = window->in_c / window->groups;
    const int32_t outputs = window->out_c / window->groups;
    tt_rounding rounding = tt_rounding_begin_s8(rescale);
    for (int32_t row = 0; row < window->in_h; row++) {
        for (int32_t column = 0; column < window->in_w; column++) {
            for (int32_t i = 0; i < window->in_c; i++) {
                const int32_t acc = gradient_sum(window, row, column, i / inputs * outputs, outputs,
                                                 inputs, weights + i % inputs, factors, g);
                dx[(row * window->in_w + column) * window->in_c + i] =
                    tt_rounded_s8(acc, &rounding);
            }
        }
    }
    tt_rounding_end_s8(rescale, rounding);
}

void naive_conv2d_s8_grad_input(const tt_window *window, const tt_segment *segments,
                                size_t segment_count, const tt_factors *factors,
                                const tt_rescale *rescale, const int8_t *g, int8_t *dx,
                                void *workspace, size_t workspace_bytes)
{
    (void)segment_count;
    (void)workspace;
    (void)workspace_bytes;
    input_gradient(window, segments->weights, factors, rescale, g, dx);
}

void naive_depthwise_conv2d_s8_grad_input(const tt_window *window, const int8_t *weights,
                                          const uint16_t *outputs, size_t count,
                                          const tt_factors *factors, const tt_rescale *rescale,
                                          const int8_t *g, int8_t *dx, void *workspace)
{
    (void)outputs;
    (void)count;
    (void)workspace;
    input_gradient(window, weights, factors, rescale, g, dx);
}

void naive_conv2d_s8_grad_weight(const tt_window *window, const tt_update *update,
                                 const tt_step *step, int8_t x_zero, const int8_t *x,
                                 const int8_t *g, tt_trained *trained, void *workspace)
{
    const int32_t count = window->in_c / window->groups;
    tt_sgd sgd = tt_sgd_begin(update, step);
    size_t index = 0;
    (void)workspace;
    for (int32_t o = 0; o < window->out_c; o++) {
        tt_sgd_channel_s8(&sgd, update, step, (size_t)o);
        const int32_t first = o / (window->out_c / window->groups) * count;
        for (int32_t kh = 0; kh < window->kernel_h; kh++) {
            for (int32_t kw = 0; kw < window->kernel_w; kw++) {
                for (int32_t i = first; i < first + count; i++, index++) {
                    int32_t sum = 0;
                    for (int32_t oh = 0; oh < window->out_h; oh++) {
                        for (int32_t ow = 0; ow < window->out_w; ow++) {
                            const int32_t row =
                                oh * window->stride_h - window->pad_top + kh * window->dilation_h;
                            const int32_t column =
                                ow * window->stride_w - window->pad_left + kw * window->dilation_w;
                            if (inside(window, row, column)) {
                                const int32_t element =
                                    x[(row * window->in_w + column) * window->in_c + i] - x_zero;
                                sum += element * g[(oh * window->out_w + ow) * window->out_c + o];
                            }
                        }
                    }
                    tt_apply(trained, index, tt_delta_s8(&sgd, sum));
                }
            }
        }
    }
}
