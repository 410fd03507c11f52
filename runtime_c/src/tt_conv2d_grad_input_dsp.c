/* Gradient of the input of a convolution on a core with DSP instructions.
 *
 * Eight input positions to a tile: the gradients of the outputs that read them, times the factors
 * of their channels, lie widened in the workspace, and each column of weights is widened once for
 * as many tiles as the workspace holds (tt_dot8_dsp.h). Few positions go one by one. Where it is
 * too small for a tile, it holds some outputs of one at a time, and sums of all columns to which
 * each part adds.
 */
#include "tt_gradient.h"
#include "tt_lanes_dsp.h"

#if defined(__ARM_FEATURE_SIMD32)

typedef struct {
    const tt_window *window;
    const tt_segment *segments;
    size_t segment_count;
    const tt_factors *factors;
    const int8_t *g;
    int8_t *dx;
    int32_t *slices; /* sums to which slices of the outputs add; NULL where dx is written */
    size_t area;
    size_t outputs; /* of a group */
    /* Of the outputs that are in the workspace at a time: all, or a part where it is small. */
    size_t first, part; /* the first of them, and how many they are */
    size_t tap_quads;   /* quads of them */
    size_t quads;       /* of all taps */
} gradient;

typedef struct {
    size_t first, count;
} position_range;

/* Two products, without their 7 lowest bits, in one word; |product| < 2^22. */
static inline int32_t packed(int32_t low, int32_t high)
{
    int32_t word;
    __asm__("pkhbt %0, %1, %2, lsl #9" : "=r"(word) : "r"(low >> 7), "r"(high));
    return word;
}

/* pre(G, m) of four channels. */
static inline tt_quad factored4(uint32_t g, const int16_t *m)
{
    const tt_quad pairs = tt_centred_quad(g, 0);
    const int32_t low = (int32_t)tt_word_at(m);
    const int32_t high = (int32_t)tt_word_at(m + 2);
    return (tt_quad){packed(__smlabb(pairs.even, low, 1 << 6), __smlatb(pairs.even, high, 1 << 6)),
                     packed(__smlabt(pairs.odd, low, 1 << 6), __smlatt(pairs.odd, high, 1 << 6))};
}

/* The channels of one group at one output position, as quads `stride` apart; behind the last
 * channel stands 0. */
static void fill_lane(const gradient *c, size_t first, const int8_t *element, tt_quad *lane,
                      size_t stride)
{
    const int16_t *m = c->factors->integer + first;
    const int8_t *g = element + first;
    size_t left = c->part;
    for (; left >= 4; left -= 4, g += 4, m += 4, lane += stride) {
        *lane = factored4(tt_word_at(g), m);
    }
    if (left > 0) {
        int16_t rest[4] = {0};
        memcpy(rest, m, left * sizeof *m);
        *lane = factored4(tt_few(g, left, 0), rest);
    }
}

/* All taps of `lanes` input positions from `position` on, in tiles of `per_tile` lanes; taps that
 * no output has are 0. */
__attribute__((noinline)) static void fill(const gradient *c, size_t position, size_t lanes,
                                           size_t group, tt_quad *tile, size_t per_tile)
{
    const tt_window *window = c->window;
    uint32_t ih = (uint32_t)(position / window->in_w);
    uint32_t iw = (uint32_t)(position % window->in_w);
    for (size_t index = 0; index < lanes; index++) {
        tt_quad *lane = tile + index / per_tile * per_tile * c->quads + index % per_tile;
        for (uint32_t kh = 0; kh < window->kernel_h; kh++) {
            const int32_t oh = tt_output_row(window, ih, kh);
            for (uint32_t kw = 0; kw < window->kernel_w; kw++, lane += c->tap_quads * per_tile) {
                const int32_t ow = oh < 0 ? -1 : tt_output_column(window, iw, kw);
                if (ow >= 0) {
                    fill_lane(c, group * c->outputs + c->first,
                              c->g + ((size_t)oh * window->out_w + (size_t)ow) * window->out_c,
                              lane, per_tile);
                    continue;
                }
                for (size_t quad = 0; quad < c->tap_quads; quad++) {
                    lane[quad * per_tile] = (tt_quad){0, 0};
                }
            }
        }
        iw++;
        if (iw == window->in_w) {
            iw = 0;
            ih++;
        }
    }
}

/* Up to four columns of one group's weights: columns[k][tap][quad]. w points to the first tap of
 * the first column, the next tap of which is row_step on. */
__attribute__((noinline)) static void widen_columns(const gradient *c, const int8_t *w,
                                                    size_t columns, size_t row_step, tt_quad *quads)
{
    const size_t step = c->area * row_step;
    for (size_t tap = 0; tap < c->area; tap++, w += row_step) {
        const int8_t *row = w;
        size_t left = c->part;
        for (; columns >= 4 && left >= 4; left -= 4, quads++) {
            tt_transpose4(tt_word_at(row), tt_word_at(row + step), tt_word_at(row + 2 * step),
                          tt_word_at(row + 3 * step), 0, quads, c->quads);
            row += 4 * step;
        }
        for (; left > 0; left -= left < 4 ? left : 4, row += 4 * step, quads++) {
            uint32_t words[4] = {0};
            for (size_t k = 0; k < 4 && k < left; k++) {
                words[k] = tt_few(row + k * step, columns, 0);
            }
            tt_transpose4(words[0], words[1], words[2], words[3], 0, quads, c->quads);
        }
    }
}

/* dx[k * step] from `count` sums, whatever they are. */
__attribute__((noinline, cold)) static void
round_each(const int32_t *sums, size_t count, tt_rounding *rounding, int8_t *dx, size_t step)
{
    for (size_t k = 0; k < count; k++) {
        dx[k * step] = tt_rounded_s8(sums[k], rounding);
    }
}

/* dx[k * step] from `count` sums. */
__attribute__((noinline)) static void round_all(const int32_t *sums, size_t count,
                                                tt_rounding *rounding, int8_t *dx, size_t step)
{
    const int32_t shift = rounding->shift;
    if (shift < 1 || shift > 30) {
        round_each(sums, count, rounding, dx, step);
        return;
    }
    /* tt_rh; what saturates is rare, and written again. */
    const int32_t half = (1 << (shift - 1)) - 1;
    int32_t peak = 0;
    int8_t *out = dx;
    for (size_t k = 0; k < count; k++, out += step) {
        const int32_t r = (sums[k] + half + ((sums[k] >> shift) & 1)) >> shift;
        const int32_t magnitude = r < 0 ? -r : r;
        peak = magnitude > peak ? magnitude : peak;
        *out = (int8_t)r;
    }
    if (peak > INT8_MAX) {
        round_each(sums, count, rounding, dx, step);
    }
    rounding->peak = peak > rounding->peak ? peak : rounding->peak;
}

/* `count` sums of one channel, whose first place is `at`. */
static void put(const gradient *c, const int32_t *sums, size_t count, tt_rounding *rounding,
                size_t at)
{
    const size_t step = c->window->in_c;
    if (c->slices == NULL) {
        round_all(sums, count, rounding, c->dx + at, step);
        return;
    }
    int32_t *to = c->slices + at;
    for (size_t k = 0; k < count; k++, to += step) {
        *to += sums[k];
    }
}

/* The gradient at `lanes` positions from `position` on. Workspace: tiles, four columns, sums. */
__attribute__((noinline)) static void some(const gradient *c, size_t position, size_t lanes,
                                           size_t tiles, tt_rounding *rounding, tt_quad *tile)
{
    const tt_window *window = c->window;
    const size_t per_group = window->in_c / window->groups;
    const size_t per_tile = lanes == 1 ? 1 : TT_LANES;
    tt_quad *columns = tile + tiles * per_tile * c->quads;
    int32_t *sums = (int32_t *)(columns + 4 * c->quads);
    for (size_t group = 0; group < window->groups; group++) {
        const size_t at = position * window->in_c + group * per_group;
        fill(c, position, lanes, group, tile, per_tile);
        for (size_t s = 0; s < c->segment_count; s++) {
            const tt_segment *segment = &c->segments[s];
            const int8_t *w = segment->weights + group * c->outputs * c->area * segment->count;
            for (size_t j = 0; j < segment->count; j++) {
                const tt_quad *column = columns + j % 4 * c->quads;
                if (j % 4 == 0) {
                    widen_columns(c, w + j, segment->count - j, tt_row_step(segment), columns);
                }
                if (lanes == 1) {
                    sums[0] = 0;
                    for (size_t quad = 0; quad < c->quads; quad++) {
                        sums[0] = __smlad(tile[quad].even, column[quad].even, sums[0]);
                        sums[0] = __smlad(tile[quad].odd, column[quad].odd, sums[0]);
                    }
                } else {
                    tt_sums8_dsp(sums, tile, column, c->quads, tiles);
                }
                const size_t channel = segment->channels == NULL ? j : segment->channels[j];
                put(c, sums, lanes, rounding, at + channel);
            }
        }
    }
}

/* The tile and four columns of weights take this many bytes a quad. */
#define QUAD_BYTES ((TT_LANES + 4) * sizeof(tt_quad))

/* The sums of eight lanes for all columns of a group. */
static size_t sums_bytes(const tt_window *window)
{
    return window->in_c / window->groups * TT_LANES * sizeof(int32_t);
}

/* Outputs of a part that the workspace holds; 0 where they were so few that single positions are
 * the better choice. */
static size_t outputs_of_part(const tt_window *window, size_t area, size_t workspace_bytes)
{
    const size_t rest = sums_bytes(window) + TT_LANES * sizeof(int32_t);
    const size_t quads = workspace_bytes < rest ? 0 : (workspace_bytes - rest) / QUAD_BYTES;
    return quads < TT_PART_QUADS_DSP ? 0 : 4 * (quads / area);
}

static void add8(int32_t *to, const int32_t *sums)
{
    for (size_t lane = 0; lane < TT_LANES; lane++) {
        to[lane] += sums[lane];
    }
}

/* The gradient at up to eight positions, `part` outputs at a time. Workspace: sums of all columns,
 * a tile, four columns, sums of one. */
static void in_parts(gradient c, position_range at, size_t part, tt_rounding *rounding,
                     int32_t *all)
{
    const tt_window *window = c.window;
    const size_t per_group = window->in_c / window->groups;
    tt_quad *tile = (tt_quad *)(all + TT_LANES * per_group);
    for (size_t group = 0; group < window->groups; group++) {
        const size_t place = at.first * window->in_c + group * per_group;
        memset(all, 0, sums_bytes(window));
        for (c.first = 0; c.first < c.outputs; c.first += part) {
            c.part = c.outputs - c.first < part ? c.outputs - c.first : part;
            c.tap_quads = (c.part + 3) / 4;
            c.quads = c.area * c.tap_quads;
            tt_quad *columns = tile + TT_LANES * c.quads;
            int32_t *sums = (int32_t *)(columns + 4 * c.quads);
            int32_t *to = all;
            fill(&c, at.first, at.count, group, tile, TT_LANES);
            for (size_t s = 0; s < c.segment_count; s++) {
                const tt_segment *segment = &c.segments[s];
                const int8_t *w = segment->weights +
                                  (group * c.outputs + c.first) * c.area * tt_row_step(segment);
                for (size_t j = 0; j < segment->count; j++, to += TT_LANES) {
                    if (j % 4 == 0) {
                        widen_columns(&c, w + j, segment->count - j, tt_row_step(segment), columns);
                    }
                    tt_sums8_dsp(sums, tile, columns + j % 4 * c.quads, c.quads, 1);
                    add8(to, sums);
                    if (c.first + c.part == c.outputs) {
                        const size_t channel = segment->channels == NULL ? j : segment->channels[j];
                        put(&c, to, at.count, rounding, place + channel);
                    }
                }
            }
        }
    }
}

void tt_conv2d_s8_grad_input_dsp(const tt_window *window, const tt_segment *segments,
                                 size_t segment_count, const tt_factors *factors,
                                 const tt_rescale *rescale, const int8_t *g, int8_t *dx,
                                 void *workspace, size_t workspace_bytes)
{
    const size_t positions = (size_t)window->in_h * window->in_w;
    const size_t area = (size_t)window->kernel_h * window->kernel_w;
    const size_t outputs = window->out_c / window->groups;
    const size_t tap_quads = (outputs + 3) / 4;
    const size_t quads = area * tap_quads;
    const gradient c = {window,  segments, segment_count, factors,   g,    dx, rescale->sums, area,
                        outputs, 0,        outputs,       tap_quads, quads};
    /* As many tiles at a time as there are, or as the workspace holds, with a column of sums each,
     * beside four columns of weights; none where that is less than one, or where a tile, which
     * costs as much as three single positions, would be nearly empty. */
    const size_t wanted = (positions + TT_LANES - 1) / TT_LANES;
    const size_t columns = 4 * quads * sizeof(tt_quad);
    const size_t tile = TT_LANES * (quads * sizeof(tt_quad) + sizeof(int32_t));
    const size_t most =
        positions < 3 || workspace_bytes < columns ? 0 : (workspace_bytes - columns) / tile;
    const size_t tiles = wanted < most ? wanted : most;
    const size_t part =
        positions < 3 || tiles > 0 ? 0 : outputs_of_part(window, area, workspace_bytes);
    tt_rounding rounding = tt_rounding_begin_s8(rescale);
    for (size_t position = 0; part > 0 && position < positions; position += TT_LANES) {
        const size_t left = positions - position;
        in_parts(c, (position_range){position, left < TT_LANES ? left : TT_LANES}, part, &rounding,
                 workspace);
    }
    for (size_t position = 0; part == 0 && position < positions;) {
        const size_t left = positions - position;
        size_t lanes = left < tiles * TT_LANES ? left : tiles * TT_LANES;
        lanes = lanes < 3 ? 1 : lanes;
        some(&c, position, lanes, (lanes + TT_LANES - 1) / TT_LANES, &rounding, workspace);
        position += lanes;
    }
    tt_rounding_end_s8(rescale, rounding);
}

#endif
