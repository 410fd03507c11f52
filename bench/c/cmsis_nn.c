/* Kernels of CMSIS-NN behind the contracts of tt_kernels.h, for one segment without a list and
 * clamps of any kind. The weights' sums that its MVE kernels want are made in each call where
 * CMSIS-NN makes them itself. */
#include "arm_nnfunctions.h"
#include "naive.h"

#define CHANNELS 1024

static int32_t shifts[CHANNELS];

static cmsis_nn_dims dims(int32_t n, int32_t h, int32_t w, int32_t c)
{
    return (cmsis_nn_dims){.n = n, .h = h, .w = w, .c = c};
}

/* CMSIS-NN has s32 shifts. */
static cmsis_nn_per_channel_quant_params quantization(const tt_window *window,
                                                      const tt_requant *requant)
{
    for (size_t o = 0; o < window->out_c; o++) {
        shifts[o] = requant->shift[o];
    }
    return (cmsis_nn_per_channel_quant_params){(int32_t *)(uintptr_t)requant->multiplier, shifts};
}

void cmsis_conv2d_s8(const tt_window *window, const tt_requant *requant, const tt_segment *segments,
                     size_t segment_count, const int32_t *bias, const int8_t *x, int8_t *y,
                     void *workspace, size_t workspace_bytes)
{
    (void)workspace_bytes;
    const cmsis_nn_conv_params params = {
        .input_offset = -requant->input_zero,
        .output_offset = requant->zero,
        .stride = {.w = window->stride_w, .h = window->stride_h},
        .padding = {.w = window->pad_left, .h = window->pad_top},
        .dilation = {.w = window->dilation_w, .h = window->dilation_h},
        .activation = {.min = requant->lo, .max = requant->hi},
    };
    const cmsis_nn_per_channel_quant_params quant = quantization(window, requant);
    const cmsis_nn_context context = {.buf = workspace, .size = 1 << 20};
    const cmsis_nn_dims input = dims(1, window->in_h, window->in_w, window->in_c);
    const cmsis_nn_dims filter =
        dims(window->out_c, window->kernel_h, window->kernel_w, window->in_c);
    const cmsis_nn_dims biases = dims(1, 1, 1, window->out_c);
    const cmsis_nn_dims output = dims(1, window->out_h, window->out_w, window->out_c);
    (void)segment_count;
    (void)arm_convolve_wrapper_s8(&context, &params, &quant, &input, x, &filter, segments->weights,
                                  &biases, bias, &output, y);
}

void cmsis_depthwise_conv2d_s8(const tt_window *window, const tt_requant *requant,
                               const int8_t *weights, const uint16_t *outputs, size_t count,
                               const int32_t *bias, const int8_t *x, int8_t *y, void *workspace)
{
    const cmsis_nn_dw_conv_params params = {
        .input_offset = -requant->input_zero,
        .output_offset = requant->zero,
        .ch_mult = window->out_c / window->in_c,
        .stride = {.w = window->stride_w, .h = window->stride_h},
        .padding = {.w = window->pad_left, .h = window->pad_top},
        .dilation = {.w = window->dilation_w, .h = window->dilation_h},
        .activation = {.min = requant->lo, .max = requant->hi},
    };
    const cmsis_nn_per_channel_quant_params quant = quantization(window, requant);
    const cmsis_nn_context context = {.buf = workspace, .size = 1 << 20};
    const cmsis_nn_dims input = dims(1, window->in_h, window->in_w, window->in_c);
    const cmsis_nn_dims filter = dims(1, window->kernel_h, window->kernel_w, window->out_c);
    const cmsis_nn_dims biases = dims(1, 1, 1, window->out_c);
    const cmsis_nn_dims output = dims(1, window->out_h, window->out_w, window->out_c);
    (void)outputs;
    (void)count;
    (void)arm_depthwise_conv_wrapper_s8(&context, &params, &quant, &input, x, &filter, weights,
                                        &biases, bias, &output, y);
}
