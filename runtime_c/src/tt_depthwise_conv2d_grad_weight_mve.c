/* Gradient of the weights of depthwise convolutions, and their update, for MVE: rows of positions
 * as in tt_conv2d_grad_weight_mve.c. tt_depthwise_conv2d_grad.inc.h is the reference. */
#include "tt_kernels_mve.h"

#if defined(__ARM_FEATURE_MVE)

#include "tt_conv2d_mac_mve.h"
#include "tt_sgd_mve.h"
#include "tt_transpose_mve.h"

void tt_depthwise_conv2d_s8_grad_weight_mve(const tt_window *window, const tt_update *update,
                                            const tt_step *step, int8_t x_zero, const int8_t *x,
                                            const int8_t *g, tt_trained *trained, void *workspace)
{
    const size_t positions = (size_t)window->out_h * window->out_w;
    const size_t padded = tt_padded(positions);
    const size_t taps = (size_t)window->kernel_h * window->kernel_w;
    const size_t multiple = window->out_c / window->in_c;
    /* Scatters reach 64 KB. */
    if (7 * taps * padded > UINT16_MAX) {
        tt_depthwise_conv2d_s8_grad_weight(window, update, step, x_zero, x, g, trained, workspace);
        return;
    }
    int8_t *x_rows = workspace; /* [TT_TRANSPOSED][taps][padded] */
    int8_t *g_rows = x_rows + TT_TRANSPOSED * taps * padded;
    /* [taps + TT_SUMS_BEHIND] */
    int32_t (*sums)[2] = (int32_t (*)[2])(void *)(g_rows + TT_TRANSPOSED * padded);
    tt_sgd sgd = tt_sgd_begin(update, step);
    const tt_randoms randoms = tt_randoms_of_mve(&sgd);
    for (size_t o = 0; o < window->out_c; o++) {
        const size_t c = o / multiple;
        if (c % TT_TRANSPOSED == 0 && o % multiple == 0) {
            for (size_t tap = 0; tap < taps; tap++) {
                tt_transpose_tap(window, (uint32_t)(tap / window->kernel_w),
                                 (uint32_t)(tap % window->kernel_w), x_zero, x + c,
                                 (uint32_t)(window->in_c - c), taps * padded,
                                 x_rows + tap * padded);
            }
        }
        if (o % TT_TRANSPOSED == 0) {
            tt_transpose_gradient(positions, g + o, window->out_c, (uint32_t)(window->out_c - o),
                                  g_rows);
        }
        const int8_t *row = g_rows + o % TT_TRANSPOSED * padded;
        tt_mac_rows_mve(padded, row, row, x_rows + c % TT_TRANSPOSED * taps * padded, taps, 1,
                        *sums);
        tt_sgd_channel_s8(&sgd, update, step, o);
        tt_update_row_mve(&sgd, &randoms, trained, o * taps, taps, sums, 0,
                          x_zero * tt_row_sum(padded, row));
    }
}

#endif
