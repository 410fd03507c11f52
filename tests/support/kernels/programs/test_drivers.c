/* How a kernel of each contract is called. */
#include "test_kernels.h"

#define CALL(contract, function) ((__typeof__(&tt_##contract))(function))

static tt_window window_of(const test_case *test)
{
    uint16_t fields[15];
    for (size_t i = 0; i < 15; i++) {
        fields[i] = (uint16_t)test->window[i];
    }
    return (tt_window){fields[0],  fields[1],  fields[2],  fields[3],  fields[4],
                       fields[5],  fields[6],  fields[7],  fields[8],  fields[9],
                       fields[10], fields[11], fields[12], fields[13], fields[14]};
}

static size_t input_size(const tt_window *window)
{
    return (size_t)window->in_h * window->in_w * window->in_c;
}

static size_t output_size(const tt_window *window)
{
    return (size_t)window->out_h * window->out_w * window->out_c;
}

static size_t area(const tt_window *window)
{
    return (size_t)window->kernel_h * window->kernel_w;
}

/* Where a kernel reads its input: x, or y where it writes, which then holds the channels of x that
 * the kernel is to compute. So buffers look the same as if x and y were apart. */
static const int8_t *input_of(const test_case *test, const tt_window *window,
                              const uint16_t *outputs, const int8_t *x, int8_t *y)
{
    if (!test->in_place) {
        return x;
    }
    for (size_t i = 0; i < input_size(window); i += window->in_c) {
        for (size_t k = 0; k < test->count; k++) {
            const size_t channel = outputs == NULL ? k : outputs[k];
            y[i + channel] = x[i + channel];
        }
    }
    return y;
}

/* The largest accumulator that factors allow. */
#define FACTORED_BOUND (1 << 30)

TEST_DRIVER(conv2d_s8)
{
    const tt_window window = window_of(test);
    tt_segment segments[3];
    const int8_t *x = draw_s8(operands, "x", input_size(&window));
    int8_t *y = arena_take(operands->arena, "y", output_size(&window), 1);
    const size_t count = draw_segments(operands, test, &window, segments);
    const tt_requant requant = draw_requant(operands, window.out_c);
    const int32_t *bias = draw_bias(operands, window.out_c);
    void *workspace = arena_take_workspace(operands->arena);
    arena_raise_fences(operands->arena);
    CALL(conv2d_s8, function)(&window, &requant, segments, count, bias, x, y, workspace,
                              operands->arena->workspace_bytes);
}

TEST_DRIVER(conv2d_s8_s32)
{
    const tt_window window = window_of(test);
    tt_segment segments[3];
    const int8_t *x = draw_s8(operands, "x", input_size(&window));
    int32_t *y = arena_take(operands->arena, "y", output_size(&window) * 4, 4);
    const size_t count = draw_segments(operands, test, &window, segments);
    const tt_requant requant = {NULL, NULL, draw_zero(operands), 0, 0, 0};
    const int32_t *bias = draw_bias(operands, window.out_c);
    void *workspace = arena_take_workspace(operands->arena);
    arena_raise_fences(operands->arena);
    CALL(conv2d_s8_s32, function)(&window, &requant, segments, count, bias, x, y, workspace,
                                  operands->arena->workspace_bytes);
}

TEST_DRIVER(depthwise_conv2d_s8)
{
    const tt_window window = window_of(test);
    const int8_t *x = draw_s8(operands, "x", input_size(&window));
    int8_t *y = arena_take(operands->arena, "y", output_size(&window), 1);
    const int8_t *weights = draw_s8(operands, "weights", test->count * area(&window));
    const uint16_t *outputs = draw_outputs(operands, test, window.out_c, 1);
    const tt_requant requant = draw_requant(operands, window.out_c);
    const int32_t *bias = draw_bias(operands, window.out_c);
    void *workspace = arena_take_workspace(operands->arena);
    x = input_of(test, &window, outputs, x, y);
    arena_raise_fences(operands->arena);
    CALL(depthwise_conv2d_s8, function)(&window, &requant, weights, outputs, test->count, bias, x,
                                        y, workspace);
}

TEST_DRIVER(conv2d_s8_grad_input)
{
    const tt_window window = window_of(test);
    tt_segment segments[3];
    const int8_t *g = draw_gradient(operands, "g", output_size(&window));
    int8_t *dx = arena_take(operands->arena, "dx", input_size(&window), 1);
    const size_t count = draw_segments(operands, test, &window, segments);
    if (count == 1 && segments[0].channels == NULL && window.groups == 1 &&
        draw_once_in(operands, 3)) {
        draw_slice(operands, &window, &segments[0]);
    }
    const size_t outputs = window.out_c / window.groups;
    const tt_factors factors = draw_factors(operands, window.groups, outputs, area(&window));
    tt_rescale rescale = draw_rescale(operands, FACTORED_BOUND);
    if (draw_once_in(operands, 3)) {
        rescale.sums = draw_sums(operands, input_size(&window));
    }
    void *workspace = arena_take_workspace(operands->arena);
    arena_raise_fences(operands->arena);
    CALL(conv2d_s8_grad_input, function)(&window, segments, count, &factors, &rescale, g, dx,
                                         workspace, operands->arena->workspace_bytes);
}

TEST_DRIVER(depthwise_conv2d_s8_grad_input)
{
    const tt_window window = window_of(test);
    const size_t multiple = window.out_c / window.in_c;
    const int8_t *g = draw_gradient(operands, "g", output_size(&window));
    int8_t *dx = arena_take(operands->arena, "dx", input_size(&window), 1);
    const int8_t *weights = draw_s8(operands, "weights", test->count * area(&window));
    const uint16_t *outputs = draw_outputs(operands, test, window.out_c, multiple);
    const tt_factors factors = draw_factors(operands, window.in_c, multiple, area(&window));
    const tt_rescale rescale = draw_rescale(operands, FACTORED_BOUND);
    void *workspace = arena_take_workspace(operands->arena);
    g = input_of(test, &window, outputs, g, dx);
    arena_raise_fences(operands->arena);
    CALL(depthwise_conv2d_s8_grad_input, function)(&window, weights, outputs, test->count, &factors,
                                                   &rescale, g, dx, workspace);
}

TEST_DRIVER(conv2d_s8_grad_weight)
{
    const tt_window window = window_of(test);
    const int8_t *x = draw_s8(operands, "x", input_size(&window));
    const int8_t *g = draw_gradient(operands, "g", output_size(&window));
    const size_t weights = (size_t)window.out_c * area(&window) * (window.in_c / window.groups);
    tt_trained trained = draw_trained(operands, test->fraction_bits, weights);
    const test_rule rule = draw_rule(operands, window.out_c);
    const int8_t zero = draw_zero(operands);
    void *workspace = arena_take_workspace(operands->arena);
    arena_raise_fences(operands->arena);
    CALL(conv2d_s8_grad_weight, function)(&window, &rule.update, &rule.step, zero, x, g, &trained,
                                          workspace);
}

TEST_DRIVER(depthwise_conv2d_s8_grad_weight)
{
    const tt_window window = window_of(test);
    const int8_t *x = draw_s8(operands, "x", input_size(&window));
    const int8_t *g = draw_gradient(operands, "g", output_size(&window));
    tt_trained trained = draw_trained(operands, test->fraction_bits, window.out_c * area(&window));
    const test_rule rule = draw_rule(operands, window.out_c);
    const int8_t zero = draw_zero(operands);
    void *workspace = arena_take_workspace(operands->arena);
    arena_raise_fences(operands->arena);
    CALL(depthwise_conv2d_s8_grad_weight, function)(&window, &rule.update, &rule.step, zero, x, g,
                                                    &trained, workspace);
}

TEST_DRIVER(avg_pool2d_s8_grad)
{
    const tt_window window = window_of(test);
    const int8_t *g = draw_gradient(operands, "g", output_size(&window));
    int8_t *dx = arena_take(operands->arena, "dx", input_size(&window), 1);
    const tt_factors factors = draw_factors(operands, area(&window), 1, area(&window));
    const tt_rescale rescale = draw_rescale(operands, FACTORED_BOUND);
    const int count_include_pad = draw_once_in(operands, 2);
    arena_raise_fences(operands->arena);
    CALL(avg_pool2d_s8_grad, function)(&window, &factors, count_include_pad, &rescale, g, dx);
}

TEST_DRIVER(bias_s8_grad)
{
    const int8_t *g = draw_gradient(operands, "g", (size_t)test->rows * test->count);
    const test_rule rule = draw_rule(operands, test->count);
    int32_t *bias = draw_bias(operands, test->count);
    arena_raise_fences(operands->arena);
    CALL(bias_s8_grad, function)(test->rows, test->count, &rule.update, &rule.step, g, bias);
}

TEST_DRIVER(add_s8)
{
    const int32_t top = (1 << 21) - 1;
    const int32_t sign = draw_once_in(operands, 3) ? -1 : 1;
    int8_t *a = draw_s8(operands, "a", test->count);
    int8_t *b = draw_s8(operands, "b", test->count);
    int8_t *y = arena_take(operands->arena, "y", test->count, 1);
    const tt_requant requant = draw_requant(operands, 1);
    const tt_add add = {
        .a_factor = draw_once_in(operands, 4) ? top : draw_between(operands, 0, top),
        .b_factor = sign * (draw_once_in(operands, 4) ? top : draw_between(operands, 0, top)),
        .shift = (int8_t)(draw_once_in(operands, 2) ? draw_between(operands, 18, 24)
                                                    : draw_between(operands, 1, 30)),
        .a_zero = draw_zero(operands),
        .b_zero = draw_zero(operands),
        .zero = requant.zero,
        .lo = requant.lo,
        .hi = requant.hi,
    };
    int8_t *outputs[] = {y, a, b};
    y = outputs[draw_between(operands, 0, 2)];
    arena_raise_fences(operands->arena);
    CALL(add_s8, function)(&add, test->count, a, b, y);
}

TEST_DRIVER(clamp_mask_s8)
{
    const int8_t *y = draw_s8(operands, "y", test->count);
    uint8_t *mask = arena_take(operands->arena, "mask", (test->count + 7U) / 8U, 1);
    const tt_requant requant = draw_requant(operands, 1);
    arena_raise_fences(operands->arena);
    CALL(clamp_mask_s8, function)(test->count, requant.lo, requant.hi, y, mask);
}

TEST_DRIVER(grad_clamp_s8)
{
    int8_t *g = draw_gradient(operands, "g", test->count);
    const int8_t *y = draw_s8(operands, "y", test->count);
    int8_t *out = arena_take(operands->arena, "out", test->count, 1);
    const tt_requant requant = draw_requant(operands, 1);
    out = draw_once_in(operands, 2) ? g : out;
    arena_raise_fences(operands->arena);
    CALL(grad_clamp_s8, function)(test->count, requant.lo, requant.hi, g, y, out);
}

TEST_DRIVER(grad_clamp_mask_s8)
{
    int8_t *g = draw_gradient(operands, "g", test->count);
    const uint8_t *mask = (const uint8_t *)draw_s8(operands, "mask", (test->count + 7U) / 8U);
    int8_t *out = arena_take(operands->arena, "out", test->count, 1);
    out = draw_once_in(operands, 2) ? g : out;
    arena_raise_fences(operands->arena);
    CALL(grad_clamp_mask_s8, function)(test->count, g, mask, out);
}

TEST_DRIVER(grad_add_s8)
{
    int8_t *a = draw_gradient(operands, "a", test->count);
    int8_t *b = draw_gradient(operands, "b", test->count);
    int8_t *out = arena_take(operands->arena, "out", test->count, 1);
    tt_rescale rescale = draw_rescale(operands, 1);
    rescale.shift = 8;
    rescale.input_exponent = rescale.output->exponent + draw_between(operands, -12, 6);
    const int32_t b_exponent = rescale.input_exponent + draw_between(operands, -12, 12);
    int8_t *outputs[] = {out, a, b};
    out = outputs[draw_between(operands, 0, 2)];
    arena_raise_fences(operands->arena);
    CALL(grad_add_s8, function)(test->count, &rescale, b_exponent, a, b, out);
}
