/* Convolution and dense layers on a core with DSP instructions.
 *
 * Eight output positions at a time: what their windows hold is widened to s16 once, in the
 * workspace, and meets every row of weights there (tt_dot8_dsp.h). Few positions, or windows too
 * large for workspace, go one by one. With little of it, segments are not joined, and with less
 * there is no tile either.
 */
#include "tt_lanes_dsp.h"
#include "tt_requantize_dsp.h"

#if defined(__ARM_FEATURE_SIMD32)

/* Quads of one group under a window, over all segments; each segment starts a quad of its own. */
static size_t quads_of(const tt_window *window, const tt_segment *segments, size_t segment_count)
{
    const size_t area = (size_t)window->kernel_h * window->kernel_w;
    size_t quads = 0;
    for (size_t s = 0; s < segment_count; s++) {
        quads += (area * segments[s].count + 3) / 4;
    }
    return quads;
}

/* acc[lane] for output channel o, over all segments, on top of the bias. A row's last word may
 * reach into the next rows, where it meets lanes of 0; behind the last row of all nothing may be
 * read. */
static void dot8(const tt_segment *segments, size_t segment_count, size_t area, size_t o,
                 size_t channels, const tt_quad *tile, int32_t *acc)
{
    for (size_t s = 0; s < segment_count; s++) {
        const size_t count = area * segments[s].count;
        const int8_t *w = segments[s].weights + o * count;
        size_t quads = (count + 3) / 4;
        if ((channels - o) * count < 4 * quads) {
            quads--;
            int8_t rest[4] = {0};
            memcpy(rest, w + 4 * quads, count % 4);
            tt_dot8_quads_dsp(acc, tile + quads * TT_LANES, rest, 1);
        }
        if (quads > 0) {
            tt_dot8_quads_dsp(acc, tile, w, quads);
        }
        tile += (count + 3) / 4 * TT_LANES;
    }
}

/* One position: the same sums for one lane of stride 1. */
static int32_t dot1(const tt_segment *segments, size_t segment_count, size_t area, size_t o,
                    const tt_quad *lane, int32_t acc)
{
    for (size_t s = 0; s < segment_count; s++) {
        size_t count = area * segments[s].count;
        const int8_t *w = segments[s].weights + o * count;
        for (; count >= 4; count -= 4, w += 4, lane++) {
            const tt_quad weights = tt_centred_quad(tt_word_at(w), 0);
            acc = __smlad(lane->even, weights.even, acc);
            acc = __smlad(lane->odd, weights.odd, acc);
        }
        if (count > 0) {
            uint32_t word = 0;
            memcpy(&word, w, count);
            const tt_quad weights = tt_centred_quad(word, 0);
            acc = __smlad(lane->even, weights.even, acc);
            acc = __smlad(lane->odd, weights.odd, acc);
            lane++;
        }
    }
    return acc;
}

/* y[lane * step] of output channel o, lane < lanes. */
__attribute__((noinline)) static void store(const tt_requant *requant, size_t o, const int32_t *acc,
                                            size_t lanes, int8_t *y, size_t step)
{
    const int32_t m = requant->multiplier[o];
    for (size_t lane = 0; lane < lanes; lane++, y += step) {
        if (requant->shift[o] == -1) {
            const int32_t value = tt_high_requantize_dsp(acc[lane], m, requant->zero);
            *y = (int8_t)tt_clamp_s32(value, requant->lo, requant->hi);
        } else {
            *y = tt_requantize_s8(requant, o, acc[lane]);
        }
    }
}

/* POINT: one run of elements. RUNS: a run for each row of taps. */
typedef enum { SCATTERED, POINT, RUNS } layout;

typedef struct {
    const tt_window *window;
    const tt_requant *requant;
    const tt_segment *segments;
    size_t segment_count;
    const int32_t *bias;
    const int8_t *x;
    int32_t last_run; /* largest offset of a window of runs that may be read in words */
    size_t quads;
    size_t area;
    layout layout;
    const int8_t *rows; /* for tt_rows8_dsp, where it may serve; else NULL */
    size_t surplus;     /* 4 * quads less the weights of a row */
} conv;

/* Whether every channel requantizes as tt_rows8_dsp does. */
static int is_plain(const tt_requant *requant, size_t channels)
{
    int all = requant->lo == INT8_MIN && requant->hi == INT8_MAX;
    for (size_t o = 0; all && o < channels; o++) {
        all = requant->shift[o] == -1;
    }
    return all;
}

/* How the elements under a window lie in the map. */
static layout layout_of(const tt_window *window, const tt_segment *segments, size_t segment_count)
{
    if (segment_count != 1 || segments[0].channels != NULL || window->groups != 1 ||
        window->dilation_w != 1) {
        return SCATTERED;
    }
    const int pointwise =
        window->kernel_h == 1 && window->kernel_w == 1 && (window->pad_top | window->pad_left) == 0;
    return pointwise && (window->out_h - 1) * window->stride_h < window->in_h &&
                   (window->out_w - 1) * window->stride_w < window->in_w
               ? POINT
               : RUNS;
}

static int32_t last_run_of(const tt_window *window)
{
    const int32_t size = window->in_h * window->in_w * window->in_c;
    const int32_t span =
        (window->kernel_h - 1) * window->dilation_h * window->in_w + window->kernel_w;
    return size - span * window->in_c - 3;
}

/* Widens the window at column ow of an output row into a lane, a tap in the padding being the zero
 * point. */
__attribute__((noinline)) static void fill_lane(const conv *c, size_t group, tt_taps rows,
                                                uint32_t ow, int8_t *gathered, tt_quad *lane,
                                                size_t stride)
{
    const tt_window *window = c->window;
    const int8_t zero = c->requant->input_zero;
    const tt_taps columns = tt_columns_at(window, ow);
    const size_t first = group * (window->in_c / window->groups);
    for (size_t s = 0; s < c->segment_count; s++) {
        const size_t count = c->area * c->segments[s].count;
        tt_gather_window(window, rows, columns, first, &c->segments[s], c->x, zero, gathered);
        tt_widen(count, gathered, zero, lane, stride);
        lane += (count + 3) / 4 * stride;
    }
}

/* The same for a window that lies inside the map, as kernel_h runs from `from` on, of which words
 * may be read. */
static void fill_runs(const conv *c, const int8_t *from, int8_t *gathered, tt_quad *lane,
                      size_t stride)
{
    const tt_window *window = c->window;
    const int8_t zero = c->requant->input_zero;
    const size_t size = (size_t)window->kernel_w * window->in_c;
    const size_t step = (size_t)window->dilation_h * window->in_w * window->in_c;
    if (size % 4 == 0) {
        for (size_t kh = 0; kh < window->kernel_h; kh++, from += step, lane += size / 4 * stride) {
            tt_widen(size, from, zero, lane, stride);
        }
        return;
    }
    int8_t *end = tt_copy_runs(gathered, from, window->kernel_h, size, step);
    end[0] = zero;
    end[1] = zero;
    end[2] = zero;
    tt_widen(4 * c->quads, gathered, zero, lane, stride);
}

/* The windows of one output row from column ow on, as far as lanes go. Returns how many. */
static size_t fill_row(const conv *c, size_t group, uint32_t oh, uint32_t ow, size_t lanes,
                       int8_t *gathered, tt_quad *tile, size_t stride)
{
    const tt_window *window = c->window;
    const size_t left = window->out_w - ow;
    const size_t count = left < lanes ? left : lanes;
    const tt_taps rows = tt_rows_at(window, oh);
    const int inside = c->layout == RUNS && rows.end - rows.begin == window->kernel_h;
    const int32_t row = rows.start * window->in_w;
    int32_t column = (int32_t)(ow * window->stride_w) - window->pad_left;
    for (size_t lane = 0; lane < count; lane++, column += window->stride_w) {
        const int32_t element = (row + column) * window->in_c;
        if (c->layout == POINT) {
            tt_widen(window->in_c, c->x + element, c->requant->input_zero, tile + lane, stride);
        } else if (inside && column >= 0 && column <= window->in_w - window->kernel_w &&
                   element <= c->last_run) {
            fill_runs(c, c->x + element, gathered, tile + lane, stride);
        } else {
            fill_lane(c, group, rows, ow + (uint32_t)lane, gathered, tile + lane, stride);
        }
    }
    return count;
}

/* The windows at `lanes` output positions from `position` on, as lanes `stride` apart. Behind a
 * tile lies what gathers a window: 4 bytes a quad and 4 more. */
static void fill(const conv *c, size_t position, size_t lanes, size_t group, tt_quad *tile,
                 size_t stride)
{
    uint32_t oh = (uint32_t)(position / c->window->out_w);
    uint32_t ow = (uint32_t)(position % c->window->out_w);
    int8_t *gathered = (int8_t *)(tile + c->quads * stride);
    for (size_t done = 0; done < lanes; oh++, ow = 0) {
        done += fill_row(c, group, oh, ow, lanes - done, gathered, tile + done, stride);
    }
}

/* Rows of all segments, each segment filled up to whole quads. Returns the rest of the 8-aligned
 * place. */
static void *join(const tt_segment *segments, size_t segment_count, size_t area, size_t channels,
                  int8_t *rows)
{
    for (size_t o = 0; o < channels; o++) {
        for (size_t s = 0; s < segment_count; s++) {
            const size_t count = area * segments[s].count;
            rows = tt_copy_few(rows, segments[s].weights + o * count, count);
            rows = tt_fill_few(rows, 0, (0U - count) % 4);
        }
    }
    return rows + (-(uintptr_t)rows) % 8;
}

/* All output channels of a whole tile but those whose words would reach behind the weights. Returns
 * how many. */
static size_t most_rows(const conv *c, size_t position, int8_t *y, const tt_quad *tile)
{
    const size_t channels = c->window->out_c;
    const size_t count = 4 * c->quads - c->surplus;
    /* Rows that the words of one touch. */
    const size_t covered = (4 * c->quads + count - 1) / count;
    const size_t rows = channels < covered ? 0 : channels + 1 - covered;
    tt_rows8 work = {c->bias,
                     tile,
                     0,
                     c->requant->multiplier,
                     c->requant->zero,
                     channels,
                     y + position * channels,
                     rows,
                     c->surplus,
                     c->rows};
    if (rows > 0) {
        tt_rows8_dsp(&work, c->quads);
    }
    return rows;
}

static void tile8(const conv *c, size_t position, size_t lanes, int8_t *y8, int32_t *y32,
                  void *workspace)
{
    const tt_window *window = c->window;
    const size_t per_group = window->out_c / window->groups;
    tt_quad *tile = workspace;
    for (size_t group = 0; group < window->groups; group++) {
        fill(c, position, lanes, group, tile, TT_LANES);
        size_t o = group * per_group;
        if (c->rows != NULL && lanes == TT_LANES) {
            o = most_rows(c, position, y8, tile);
        }
        for (; o < (group + 1) * per_group; o++) {
            int32_t acc[TT_LANES];
            for (size_t lane = 0; lane < TT_LANES; lane++) {
                acc[lane] = c->bias[o];
            }
            dot8(c->segments, c->segment_count, c->area, o, window->out_c, tile, acc);
            if (y32 != NULL) {
                for (size_t lane = 0; lane < lanes; lane++) {
                    y32[(position + lane) * window->out_c + o] = acc[lane];
                }
            } else {
                store(c->requant, o, acc, lanes, y8 + position * window->out_c + o, window->out_c);
            }
        }
    }
}

static void one(const conv *c, size_t position, int8_t *y8, int32_t *y32, void *workspace)
{
    const tt_window *window = c->window;
    const size_t per_group = window->out_c / window->groups;
    tt_quad *lane = workspace;
    for (size_t group = 0; group < window->groups; group++) {
        fill(c, position, 1, group, lane, 1);
        for (size_t o = group * per_group; o < (group + 1) * per_group; o++) {
            const int32_t acc = dot1(c->segments, c->segment_count, c->area, o, lane, c->bias[o]);
            if (y32 != NULL) {
                y32[position * window->out_c + o] = acc;
            } else {
                store(c->requant, o, &acc, 1, y8 + position * window->out_c + o, 0);
            }
        }
    }
}

static void conv2d(const tt_window *window, const tt_requant *requant, const tt_segment *segments,
                   size_t segment_count, const int32_t *bias, const int8_t *x, int8_t *y8,
                   int32_t *y32, void *workspace, size_t workspace_bytes)
{
    const size_t positions = (size_t)window->out_h * window->out_w;
    const size_t area = (size_t)window->kernel_h * window->kernel_w;
    const size_t quads = quads_of(window, segments, segment_count);
    conv c = {window,
              requant,
              segments,
              segment_count,
              bias,
              x,
              last_run_of(window),
              quads,
              area,
              layout_of(window, segments, segment_count),
              NULL,
              0};
    /* Weights that are joined, lanes of a tile or a single one, and what gathers a window. A tile
     * costs as much as five or six single positions. */
    const size_t tile = quads * (TT_LANES * sizeof(tt_quad) + 4) + 4;
    const int is_tiled = positions >= 6 && quads <= TT_TILE_QUADS_DSP && workspace_bytes >= tile;
    const size_t lanes = is_tiled ? tile : quads * (sizeof(tt_quad) + 4) + 4;
    const size_t joined = 4 * quads * window->out_c;
    if (y8 != NULL && window->groups == 1 && is_plain(requant, window->out_c)) {
        if (segment_count == 1) {
            c.rows = segments[0].weights;
            c.surplus = 4 * quads - area * segments[0].count;
        } else if (joined <= TT_JOINED_DSP && workspace_bytes >= (joined + 7) / 8 * 8 + lanes) {
            c.rows = workspace;
            workspace = join(segments, segment_count, area, window->out_c, workspace);
        }
    }
    size_t position = 0;
    while (is_tiled && positions - position >= 6) {
        /* Lanes without a position hold whatever was there. */
        const size_t count = positions - position < TT_LANES ? positions - position : TT_LANES;
        tile8(&c, position, count, y8, y32, workspace);
        position += count;
    }
    for (; position < positions; position++) {
        one(&c, position, y8, y32, workspace);
    }
}

void tt_conv2d_s8_dsp(const tt_window *window, const tt_requant *requant,
                      const tt_segment *segments, size_t segment_count, const int32_t *bias,
                      const int8_t *x, int8_t *y, void *workspace, size_t workspace_bytes)
{
    conv2d(window, requant, segments, segment_count, bias, x, y, NULL, workspace, workspace_bytes);
}

void tt_conv2d_s8_s32_dsp(const tt_window *window, const tt_requant *requant,
                          const tt_segment *segments, size_t segment_count, const int32_t *bias,
                          const int8_t *x, int32_t *y, void *workspace, size_t workspace_bytes)
{
    conv2d(window, requant, segments, segment_count, bias, x, NULL, y, workspace, workspace_bytes);
}

#endif
