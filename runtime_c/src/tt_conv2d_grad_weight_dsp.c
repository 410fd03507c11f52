/* Gradient of the weights of a convolution, with the update, on a core with DSP instructions.
 *
 * Eight input channels at a time: their elements under one tap, four positions to a quad, lie
 * widened in the workspace and meet the gradients of each output channel there (tt_dot8_dsp.h).
 */
#include "tt_gradient.h"
#include "tt_lanes_dsp.h"
#include "tt_sgd_dsp.h"

#if defined(__ARM_FEATURE_SIMD32)

/* Weights that an update of single products takes at a time, their sums on the stack. */
#define PRODUCTS 32U

typedef struct {
    const tt_window *window;
    const int8_t *x;
    const int8_t *g;
    int8_t zero;
    size_t count; /* input channels of a group */
    size_t positions;
    size_t quads;
    int sixteen;
} gradient;

/* Whether tt_sums16_dsp serves: tt_update_sums_dsp wants rows that begin at even indices then. */
static int is_sixteen(size_t quads, size_t count)
{
    return quads == 4 && count % 2 == 0;
}

/* All channels of a group under tap (kh, kw): tiles[channel / 8][quad][channel % 8], or as
 * tt_four16. */
static void fill(const gradient *c, size_t first, uint32_t kh, uint32_t kw, tt_quad *tiles)
{
    const tt_window *window = c->window;
    const int16x2_t negated = tt_negated_pair(c->zero);
    uint32_t oh = 0;
    uint32_t ow = 0;
    for (size_t quad = 0; quad < c->quads; quad++) {
        const int8_t *elements[4];
        for (size_t k = 0; k < 4; k++) {
            const int32_t ih = oh < window->out_h ? tt_input_row(window, oh, kh) : -1;
            const int32_t iw = ih < 0 ? -1 : tt_input_column(window, ow, kw);
            elements[k] =
                iw < 0 ? NULL
                       : c->x + ((size_t)ih * window->in_w + (size_t)iw) * window->in_c + first;
            ow++;
            if (ow == window->out_w) {
                ow = 0;
                oh++;
            }
        }
        tt_quad *lanes = tiles + quad * (c->sixteen ? 1 : TT_LANES);
        for (size_t channel = 0; channel < c->count; channel += 4) {
            uint32_t words[4];
            for (size_t k = 0; k < 4; k++) {
                words[k] = tt_few(elements[k] + channel,
                                  elements[k] == NULL ? 0 : c->count - channel, c->zero);
            }
            tt_transpose4(words[0], words[1], words[2], words[3], negated, lanes,
                          c->sixteen ? 4 : 1);
            lanes += c->sixteen                ? sizeof(tt_four16) / sizeof *lanes
                     : channel % TT_LANES == 0 ? 4
                                               : c->quads * TT_LANES - 4;
        }
    }
}

/* The gradients of one output channel, widened; behind the last position stand zeros. */
static void gather(const gradient *c, size_t o, tt_quad *row)
{
    const size_t step = c->window->out_c;
    const int8_t *g = c->g + o;
    size_t left = c->positions;
    for (; left >= 4; left -= 4, g += 4 * step, row++) {
        *row = (tt_quad){tt_lows(g[0], g[2 * step]), tt_lows(g[step], g[3 * step])};
    }
    if (left > 0) {
        *row =
            (tt_quad){tt_lows(g[0], left > 2 ? g[2 * step] : 0), left > 1 ? (uint16_t)g[step] : 0};
    }
}

/* One position, as in a dense layer: each weight's sum is a single product. */
static void update_products(const gradient *c, tt_sgd *sgd, tt_trained *trained, size_t index,
                            const int8_t *x, int32_t g)
{
    for (size_t done = 0; done < c->count;) {
        int32_t sums[PRODUCTS];
        const size_t left = c->count - done;
        const size_t size = left < PRODUCTS ? left : PRODUCTS;
        for (size_t i = 0; i < size; i++) {
            sums[i] = (x[done + i] - c->zero) * g;
        }
        tt_update_sums_dsp(trained, index + done, size, sgd,
                           &(const tt_sums_dsp){sums, 4, 255 * 127});
        done += size;
    }
}

/* All taps of a window that has a single position, in memory order. */
static void one_position(const gradient *c, const tt_update *update, const tt_step *step,
                         tt_sgd *sgd, tt_trained *trained)
{
    const tt_window *window = c->window;
    const size_t per_group = window->out_c / window->groups;
    size_t index = 0;
    for (size_t o = 0; o < window->out_c; o++) {
        tt_sgd_channel_s8(sgd, update, step, o);
        for (uint32_t kh = 0; kh < window->kernel_h; kh++) {
            for (uint32_t kw = 0; kw < window->kernel_w; kw++, index += c->count) {
                const int32_t ih = tt_input_row(window, 0, kh);
                const int32_t iw = tt_input_column(window, 0, kw);
                const int inside = ih >= 0 && iw >= 0;
                const size_t element = inside ? (size_t)ih * window->in_w + (size_t)iw : 0;
                update_products(c, sgd, trained, index,
                                c->x + element * window->in_c + o / per_group * c->count,
                                inside ? c->g[o] : 0);
            }
        }
    }
}

void tt_conv2d_s8_grad_weight_dsp(const tt_window *window, const tt_update *update,
                                  const tt_step *step, int8_t x_zero, const int8_t *x,
                                  const int8_t *g, tt_trained *trained, void *workspace)
{
    const size_t positions = (size_t)window->out_h * window->out_w;
    const size_t area = (size_t)window->kernel_h * window->kernel_w;
    const size_t count = window->in_c / window->groups;
    const size_t per_group = window->out_c / window->groups;
    const size_t quads = (positions + 3) / 4;
    const gradient c = {window, x, g, x_zero, count, positions, quads, is_sixteen(quads, count)};
    tt_sgd sgd = tt_sgd_begin(update, step);
    if (positions == 1) {
        one_position(&c, update, step, &sgd, trained);
        return;
    }
    tt_quad *tiles = workspace;
    const size_t tile_count = (count + TT_LANES - 1) / TT_LANES;
    tt_four16 *fours = workspace;
    tt_quad *row =
        c.sixteen ? (tt_quad *)(fours + 2 * tile_count) : tiles + tile_count * quads * TT_LANES;
    int32_t *in_row = (int32_t *)(row + quads);
    /* At most 66,311 positions, for which the sums are below 2^31. */
    const int32_t most = (int32_t)positions * 255 * 127;
    const tt_sums_dsp sums = {c.sixteen ? fours->sums : in_row,
                              c.sixteen ? sizeof *fours / sizeof *in_row : 4, most};
    const tt_jump to_tap = tt_jump_by(count);
    const tt_jump to_output = tt_jump_by(area * count);
    uint32_t start = sgd.random;
    for (size_t group = 0; group < window->groups; group++) {
        uint32_t next_group = start;
        for (size_t tap = 0; tap < area; tap++) {
            fill(&c, group * count, (uint32_t)(tap / window->kernel_w),
                 (uint32_t)(tap % window->kernel_w), tiles);
            uint32_t random = start;
            for (size_t o = group * per_group; o < (group + 1) * per_group; o++) {
                gather(&c, o, row);
                tt_sgd_channel_s8(&sgd, update, step, o);
                sgd.random = random;
                if (c.sixteen) {
                    tt_sums16_dsp(fours, row, (count + 3) / 4);
                } else {
                    tt_sums8_dsp(in_row, tiles, row, quads, tile_count);
                }
                tt_update_sums_dsp(trained, (o * area + tap) * count, count, &sgd, &sums);
                random = random * to_output.factor + to_output.step;
            }
            next_group = tap == 0 ? random : next_group;
            start = start * to_tap.factor + to_tap.step;
        }
        start = next_group;
    }
}

#endif
