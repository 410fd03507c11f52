/* Counts the instructions of one call of each candidate of measured_kernels.inc.h, all on equal
 * operands, and prints
 *
 *   count NUMBER INSTRUCTIONS DIFFERENT LARGEST
 *
 * with the outputs that differ from those of the first candidate of the same work, and by how much
 * at most. */
#include <string.h>

#include "measured_kernels.h"
#include "naive.h"
#include "tt_port.h"

#define MAP_BYTES 0x20000U
#define WEIGHT_BYTES 0x18000U
#define CHANNELS 1024U
#define MOST_WORKSPACE 0x40000U

enum candidate_kind { OTHER, CMSIS_NN };

static int8_t x[MAP_BYTES], y[MAP_BYTES], expected[MAP_BYTES];
static int8_t weights[WEIGHT_BYTES], transposed[WEIGHT_BYTES];
static uint8_t fraction[WEIGHT_BYTES / 2];
static int32_t bias[CHANNELS], multiplier[CHANNELS];
static int8_t shift[CHANNELS];
static int32_t rate[CHANNELS];
static int16_t factor[CHANNELS];
static _Alignas(8) uint8_t workspace[MOST_WORKSPACE];
static size_t workspace_bytes; /* of it, for the kernel that is measured */
static tt_scale scale;
static uint32_t seed;

static uint32_t draw(void)
{
    seed = seed * 1664525U + 1013904223U;
    return seed >> 8;
}

static void fill(int8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        data[i] = (int8_t)((int32_t)(draw() % 255U) - 127);
    }
}

/* Half the bits of `terms` terms' count: what a sum of random signs grows by. */
static int32_t half_bits(size_t terms)
{
    int32_t bits = 0;
    for (; terms > 1; terms /= 4) {
        bits++;
    }
    return bits;
}

/* Operands as a layer has them: results neither vanish nor saturate as a rule. */
static void prepare(const tt_window *window)
{
    const size_t count = window->in_c / window->groups;
    const size_t area = (size_t)window->kernel_h * window->kernel_w;
    seed = 12345U;
    /* It serves as input and as gradient of the output. */
    fill(x, sizeof x);
    fill(weights, window->out_c * area * count);
    fill((int8_t *)fraction, (window->out_c * area * count + 1) / 2);
    for (size_t o = 0; o < window->out_c; o++) {
        bias[o] = (int32_t)(draw() % 8192U) - 4096;
        /* In [2^30, 2^31), and for a factor below one half with the plain shift. */
        rate[o] = (int32_t)(0x40000000U + draw() * 32U);
        multiplier[o] = rate[o] >> (5 + half_bits(area * count));
        shift[o] = -1;
        factor[o] = (int16_t)(200U + draw() % 300U);
        /* In CMSIS-NN's order for depthwise layers. */
        for (size_t tap = 0; tap < area && count == 1; tap++) {
            transposed[tap * window->out_c + o] = weights[o * area + tap];
        }
    }
}

static tt_requant requantization(void)
{
    return (tt_requant){multiplier, shift, -3, 5, -128, 127};
}

static void measure_conv2d_s8(const tt_window *window, enum candidate_kind kind,
                              __typeof__(tt_conv2d_s8) *kernel)
{
    const tt_requant requant = requantization();
    const tt_segment segment = {weights, NULL, window->in_c};
    (void)kind;
    kernel(window, &requant, &segment, 1, bias, x, y, workspace, workspace_bytes);
}

static void measure_depthwise_conv2d_s8(const tt_window *window, enum candidate_kind kind,
                                        __typeof__(tt_depthwise_conv2d_s8) *kernel)
{
    const tt_requant requant = requantization();
    kernel(window, &requant, kind == CMSIS_NN ? transposed : weights, NULL, window->out_c, bias, x,
           y, workspace);
}

/* x is read as the gradient; its elements are within +-127. */
static tt_rescale rescaling(const tt_window *window)
{
    const size_t terms =
        (size_t)window->kernel_h * window->kernel_w * (window->out_c / window->groups);
    scale = (tt_scale){0, 0, 0};
    return (tt_rescale){0, 9 + half_bits(terms), &scale};
}

static void measure_conv2d_s8_grad_input(const tt_window *window, enum candidate_kind kind,
                                         __typeof__(tt_conv2d_s8_grad_input) *kernel)
{
    const tt_segment segment = {weights, NULL, window->in_c};
    const tt_factors factors = {factor, NULL};
    const tt_rescale rescale = rescaling(window);
    (void)kind;
    kernel(window, &segment, 1, &factors, &rescale, x, y, workspace, workspace_bytes);
}

static void
measure_depthwise_conv2d_s8_grad_input(const tt_window *window, enum candidate_kind kind,
                                       __typeof__(tt_depthwise_conv2d_s8_grad_input) *kernel)
{
    const tt_factors factors = {factor, NULL};
    const tt_rescale rescale = rescaling(window);
    (void)kind;
    kernel(window, weights, NULL, window->out_c, &factors, &rescale, x, y, workspace);
}

/* y is the gradient, the weights change. Stochastic rounding, four fractional bits. */
static void measure_conv2d_s8_grad_weight(const tt_window *window, enum candidate_kind kind,
                                          __typeof__(tt_conv2d_s8_grad_weight) *kernel)
{
    const tt_update update = {rate, shift, NULL, 7, 0, 0, 1, NULL};
    tt_trained trained = {weights, fraction, 4};
    /* h = 46 for sums of some 20 bits: D is a few units. */
    const tt_step step = {0.01F, 0x51EB851F, -6, 31 - shift[0] + 6 - 46, 1, 2};
    (void)kind;
    kernel(window, &update, &step, -3, x, y, &trained, workspace);
}

static void prepare_gradient_of_weights(const tt_window *window)
{
    fill(y, (size_t)window->out_h * window->out_w * window->out_c);
}

static void put_number(const char *before, uint32_t value)
{
    char digits[11];
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + value % 10U);
        value /= 10U;
    } while (value != 0);
    tt_port_print(before);
    tt_port_print(digits + at);
}

static void compare(const int8_t *result, size_t size, int first)
{
    uint32_t different = 0;
    uint32_t largest = 0;
    if (first) {
        memcpy(expected, result, size);
    }
    for (size_t i = 0; i < size; i++) {
        const int32_t difference = result[i] - expected[i];
        const uint32_t magnitude = (uint32_t)(difference < 0 ? -difference : difference);
        different += magnitude != 0;
        largest = magnitude > largest ? magnitude : largest;
    }
    put_number(" ", different);
    put_number(" ", largest);
}

int main(void)
{
    uint32_t number = 0;
    (void)tt_port_instructions();
    const uint64_t earlier = tt_port_instructions();
    const uint32_t reading = (uint32_t)(tt_port_instructions() - earlier);

/* BYTES: of the workspace; FIRST: nonzero for the first candidate of a work; RESULT and SIZE: what
 * it computes. */
#define MEASURE(CONTRACT, KIND, KERNEL, BYTES, FIRST, RESULT, SIZE, PREPARE, ...) \
    {                                                                             \
        static const tt_window window = {__VA_ARGS__};                            \
        prepare(&window);                                                         \
        PREPARE;                                                                  \
        workspace_bytes = BYTES;                                                  \
        const uint64_t start = tt_port_instructions();                            \
        measure_##CONTRACT(&window, KIND, KERNEL);                                \
        const uint32_t spent = (uint32_t)(tt_port_instructions() - start);        \
        put_number("count ", number++);                                           \
        put_number(" ", spent - reading);                                         \
        compare(RESULT, SIZE, FIRST);                                             \
        tt_port_print("\n");                                                      \
    }
#include "measured_kernels.inc.h"

    tt_port_print("done\n");
    return 0;
}
