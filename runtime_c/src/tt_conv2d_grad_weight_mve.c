/* Gradient of the weights of convolutions and dense layers, and their update, for MVE.
 * tt_conv2d_grad.inc.h is the reference.
 *
 * Channels of x, shifted by a tap, and of the gradient become rows of positions; a sum is then the
 * product of two rows. Raw inputs are multiplied, the zero point times the sum of the gradient is
 * taken out of each sum. */
#include "tt_kernels_mve.h"

#if defined(__ARM_FEATURE_MVE)

#include "tt_conv2d_mac_mve.h"
#include "tt_sgd_mve.h"
#include "tt_transpose_mve.h"

/* Workspace of a layer, and where its random numbers are. */
typedef struct {
    const tt_window *window;
    size_t count;       /* channels of x in a group */
    size_t padded;      /* positions in a row */
    int8_t *x;          /* [count][padded] */
    int8_t *g;          /* [TT_TRANSPOSED][padded] */
    int32_t (*sums)[2]; /* [count + TT_SUMS_BEHIND] */
    tt_sgd sgd;
    tt_randoms randoms;
    tt_jump row;     /* from an output channel to the next */
    uint32_t random; /* before the row of output channel 0 at the tap */
} tt_weight_gradient;

/* Updates the weights of two outputs at a tap, or of one if `second` is 0; g holds their rows. */
static void update_outputs(tt_weight_gradient *layer, const tt_update *update, const tt_step *step,
                           size_t tap, size_t o, size_t second, int8_t zero, const int8_t *g,
                           uint32_t *random, const tt_trained *trained)
{
    const size_t taps = (size_t)layer->window->kernel_h * layer->window->kernel_w;
    const int8_t *g1 = g + second * layer->padded;
    tt_mac_rows_mve(layer->padded, g, g1, layer->x, layer->count, 1, *layer->sums);
    for (size_t k = 0; k <= second; k++) {
        tt_sgd_channel_s8(&layer->sgd, update, step, o + k);
        layer->sgd.random = *random;
        tt_update_row_mve(&layer->sgd, &layer->randoms, trained,
                          ((o + k) * taps + tap) * layer->count, layer->count, layer->sums, k,
                          zero * tt_row_sum(layer->padded, g + k * layer->padded));
        *random = *random * layer->row.factor + layer->row.step;
    }
}

/* Rows have to lie within the reach of scatters. */
static int is_near(const tt_window *window)
{
    return 7 * tt_padded((size_t)window->out_h * window->out_w) <= UINT16_MAX;
}

void tt_conv2d_s8_grad_weight_mve(const tt_window *window, const tt_update *update,
                                  const tt_step *step, int8_t x_zero, const int8_t *x,
                                  const int8_t *g, tt_trained *trained, void *workspace)
{
    if (!is_near(window)) {
        tt_conv2d_s8_grad_weight(window, update, step, x_zero, x, g, trained, workspace);
        return;
    }
    const size_t positions = (size_t)window->out_h * window->out_w;
    const size_t taps = (size_t)window->kernel_h * window->kernel_w;
    const size_t outputs = (size_t)window->out_c / window->groups;
    tt_weight_gradient layer = {.window = window,
                                .count = (size_t)window->in_c / window->groups,
                                .padded = tt_padded(positions),
                                .x = workspace,
                                .sgd = tt_sgd_begin(update, step)};
    layer.g = layer.x + layer.count * layer.padded;
    layer.sums = (int32_t (*)[2])(void *)(layer.g + TT_TRANSPOSED * layer.padded);
    layer.randoms = tt_randoms_of_mve(&layer.sgd);
    layer.row = tt_jump_by(taps * layer.count);
    const tt_jump next_tap = tt_jump_by(layer.count);
    uint32_t at_tap = layer.sgd.random;
    for (size_t tap = 0; tap < taps; tap++) {
        uint32_t random = at_tap;
        for (size_t o = 0; o < window->out_c; o++) {
            const size_t in_group = o % outputs;
            if (in_group == 0) {
                const int8_t *group = x + o / outputs * layer.count;
                for (size_t j = 0; j < layer.count; j += TT_TRANSPOSED) {
                    tt_transpose_tap(window, (uint32_t)(tap / window->kernel_w),
                                     (uint32_t)(tap % window->kernel_w), x_zero, group + j,
                                     (uint32_t)(layer.count - j), layer.padded,
                                     layer.x + j * layer.padded);
                }
            }
            const size_t in_block = in_group % TT_TRANSPOSED;
            const size_t left = outputs - in_group;
            if (in_block == 0) {
                tt_transpose_gradient(positions, g + o, window->out_c, (uint32_t)left, layer.g);
            }
            const size_t second = left > 1 ? 1 : 0;
            update_outputs(&layer, update, step, tap, o, second, x_zero,
                           layer.g + in_block * layer.padded, &random, trained);
            o += second;
        }
        at_tap = at_tap * next_tap.factor + next_tap.step;
    }
}

#endif
