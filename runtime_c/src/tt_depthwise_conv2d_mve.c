/* Depthwise convolution for MVE: forward. tt_depthwise_conv2d.c is the reference.
 *
 * Rows of the map are woven into strips (tt_strips_mve.h), along which each channel's windows go
 * (tt_strip_walk_mve.h). Raw inputs are multiplied, the zero point is taken out by bias - zero *
 * sum of w, and padding is an input at the zero point. Workspace: the strips. Where they hold a
 * whole map at once, y may be x: 16 channels are woven before any output of theirs is written. */
#include "tt_kernels_mve.h"

#if defined(__ARM_FEATURE_MVE)

#include <arm_mve.h>

#include "tt_requantize_mve.h"
#include "tt_strip_walk_mve.h"
#include "tt_strips_mve.h"
#include "tt_window.h"

/* Bytes of strips that are made at a time; at least one is. */
#define TT_STRIPS_BYTES_MVE 16384U

enum { WALKS = 2 * TT_STRIP_ROWS_MVE };

/* Which weights lie where in the vectors that meet a strip: byte i is weight tap[i] where bit i of
 * inside is set, and 0 elsewhere. */
typedef struct {
    uint8_t tap[TT_STRIP_VECTORS][16];
    mve_pred16_t inside[TT_STRIP_VECTORS];
} tt_weave;

/* What stays the same for all channels. */
typedef struct {
    const tt_window *window;
    const tt_requant *requant;
    tt_strips strips;
    uint32_t vectors; /* that a window takes: 1, 3 or 4 */
    uint32_t form;    /* of walks, without the vectors */
    int is_paired;    /* one vector serves two rows */
    int is_high_word; /* every shift is -1 */
    tt_weave weave[TT_STRIP_ROWS_MVE];
} tt_depthwise;

/* The weights that meet bytes of four words: `column` of the kernel for each word, and the row of
 * its first byte. */
static void weave_vector(const tt_window *window, uint32_t v, const int32_t column[4],
                         const int32_t row[4], tt_weave *weave)
{
    uint32_t inside = 0;
    for (uint32_t i = 0; i < 16; i++) {
        const int32_t kh = row[i / 4] + (int32_t)(i % 4);
        const int32_t kw = column[i / 4];
        const int is_tap = kh >= 0 && kh < window->kernel_h && kw < window->kernel_w;
        weave->tap[v][i] = (uint8_t)(is_tap ? kh * window->kernel_w + kw : 0);
        inside |= (uint32_t)is_tap << i;
    }
    weave->inside[v] = (mve_pred16_t)inside;
}

/* The weights of an output row whose first tap is row `shift` of its strip. */
static void weave_weights(const tt_window *window, uint32_t vectors, int32_t shift, tt_weave *weave)
{
    static const int32_t left[4] = {0, 1, 2, 3};
    static const int32_t right[4] = {4, 5, 6, 7};
    static const int32_t fifth[4] = {4, 4, 8, 8};
    const int32_t upper[4] = {-shift, -shift, -shift, -shift};
    const int32_t lower[4] = {4 - shift, 4 - shift, 4 - shift, 4 - shift};
    const int32_t both[4] = {-shift, 4 - shift, 0, 0};
    weave_vector(window, 0, left, upper, weave);
    if (vectors > 1) {
        weave_vector(window, 1, left, lower, weave);
    }
    if (vectors == 3) {
        weave_vector(window, 2, fifth, both, weave);
    }
    if (vectors == 4) {
        weave_vector(window, 2, right, upper, weave);
        weave_vector(window, 3, right, lower, weave);
    }
}

/* Nonzero if strips serve the layer. Gathers step by an immediate, scatters reach 64 KB. */
static int is_woven(const tt_window *window)
{
    return window->kernel_h <= 8 && window->kernel_w <= 8 && window->stride_w <= 2 &&
           (window->dilation_w == 1 || window->kernel_w <= 4) &&
           ((size_t)window->out_w + 3) * window->out_c <= UINT16_MAX;
}

static void begin(const tt_window *window, const tt_requant *requant, tt_depthwise *layer,
                  void *workspace)
{
    const uint32_t groups = window->kernel_h > 4 || window->kernel_w > 4 ? 2 : 1;
    const uint32_t vectors = groups == 1 ? 1 : window->kernel_w <= 5 ? 3 : 4;
    uint32_t reach = 3U * window->dilation_w;
    uint32_t rows = 1;
    if (vectors == 4) {
        reach = 7;
    } else if (vectors == 3 && window->dilation_w == 1) {
        reach = 4;
    }
    if (groups == 1 && window->dilation_h == 1) {
        /* With two groups, weights for a further row would cost more than a strip. */
        rows = (4U - window->kernel_h) / window->stride_h + 1;
    }
    const uint32_t columns = ((window->out_w + 3U) / 4 * 4 - 1) * window->stride_w + reach + 1;
    layer->window = window;
    layer->requant = requant;
    layer->strips = (tt_strips){
        window,   requant->input_zero, groups, rows, columns, columns * groups * TT_STRIP_GROUP,
        workspace};
    layer->vectors = vectors;
    layer->form = window->stride_w == 2 ? TT_WALK_DOUBLE : 0;
    layer->form += requant->lo != INT8_MIN || requant->hi != INT8_MAX ? TT_WALK_CLAMPED : 0;
    layer->is_paired = groups == 1 && rows == 2;
    layer->is_high_word = tt_is_high_word(requant, 0, window->out_c);
    for (uint32_t j = 0; j < rows; j++) {
        weave_weights(window, vectors, (int32_t)(j * window->stride_h), &layer->weave[j]);
    }
}

/* What is the same for all channels and strips. */
static void begin_job(const tt_depthwise *layer, tt_lane_job *job)
{
    static const uint16_t positions[4] = {0, 2, 1, 3};
    const tt_window *window = layer->window;
    const tt_requant *requant = layer->requant;
    const uint32_t pitch = layer->strips.groups * TT_STRIP_GROUP;
    const uint32_t back = pitch * window->stride_w;
    job->zero = requant->zero;
    job->step = 4U * window->out_c;
    job->strip_size = layer->strips.size;
    vstrbq_s8(job->lo, vdupq_n_s8(requant->lo));
    vstrbq_s8(job->hi, vdupq_n_s8(requant->hi));
    for (uint32_t i = 0; i < 4; i++) {
        job->address[i] = i * pitch * window->dilation_w - back;
        if (layer->vectors == 3) {
            job->address[i] += TT_STRIP_GROUP;
        } else if (layer->vectors == 4) {
            job->address[i] += 9 * TT_STRIP_GROUP;
        }
        /* The fifth column's two groups; the lanes beyond have weights 0. */
        job->fifth[i] = 4 * pitch + (i & 1U) * TT_STRIP_GROUP - back;
        job->to_pair[2 * i] = (uint16_t)(positions[i] * window->out_c);
        job->to_pair[2 * i + 1] = (uint16_t)((positions[i] + window->out_w) * window->out_c);
        job->to_row[i] = i * window->out_c;
    }
}

/* Output row j of strips [begin, end), and row j + 1 with it if `rows` is 2; returns the next free
 * walk. */
static tt_walk *add_walks(const tt_depthwise *layer, uint32_t rows, uint32_t j, uint32_t begin,
                          uint32_t end, tt_walk *walk)
{
    /* Positions 0, 2, 1, 3 of a pair, each with two 16-bit lanes; or lanes of 32 bits. */
    static const uint16_t rest_of_pair[4] = {0, 0x000f, 0x0f0f, 0x0fff};
    static const uint16_t rest_of_row[4] = {0, 0x000f, 0x00ff, 0x0fff};
    const tt_window *window = layer->window;
    const uint32_t row = (uint32_t)window->out_w * window->out_c;
    const uint32_t step = 4U * window->out_c;
    const uint32_t groups = window->out_w / 4U;
    const uint32_t rest = window->out_w % 4U;
    tt_walk next = {groups,
                    end - begin,
                    0xffff,
                    layer->strips.rows * row - groups * step,
                    (rows == 2 ? 2 : layer->vectors) + layer->form,
                    begin * layer->strips.size,
                    (begin * layer->strips.rows + j) * row,
                    sizeof(int8_t[TT_STRIP_VECTORS][16]) * j};
    if (begin < end && groups > 0) {
        *walk++ = next;
    }
    if (begin < end && rest > 0) {
        next.groups = 1;
        next.inside = (rows == 2 ? rest_of_pair : rest_of_row)[rest];
        next.gap = layer->strips.rows * row - step;
        next.strip_offset += groups * 4 * window->stride_w * layer->strips.groups * TT_STRIP_GROUP;
        next.y_offset += groups * step;
        *walk++ = next;
    }
    return walk;
}

/* The walks that make the outputs of strips [first, first + strips) of the layer; returns how
 * many. */
static size_t plan(const tt_depthwise *layer, uint32_t first, uint32_t strips, tt_walk walks[WALKS])
{
    const tt_window *window = layer->window;
    tt_walk *walk = walks;
    if (layer->is_paired) {
        /* The last strip may have one row only. */
        const uint32_t all = window->out_h / 2U;
        const uint32_t whole = all < first + strips ? all - first : strips;
        walk = add_walks(layer, 2, 0, 0, whole, walk);
        walk = add_walks(layer, 1, 0, whole, strips, walk);
        return (size_t)(walk - walks);
    }
    for (uint32_t j = 0; j < layer->strips.rows; j++) {
        /* The last strip may end before row j. */
        const uint32_t whole =
            (first + strips - 1) * layer->strips.rows + j < window->out_h ? strips : strips - 1;
        walk = add_walks(layer, 1, j, 0, whole, walk);
    }
    return (size_t)(walk - walks);
}

static inline int8x16_t weights_of(const tt_weave *weave, uint32_t v, const int8_t *weights)
{
    return vldrbq_gather_offset_z_s8(weights, vldrbq_u8(weave->tap[v]), weave->inside[v]);
}

/* The weights of one channel as its walks want them; returns their sum. */
static inline int32_t load_weights(const tt_depthwise *layer, uint32_t rows, uint32_t vectors,
                                   const int8_t *weights, tt_lane_job *job)
{
    const int8x16_t first = weights_of(&layer->weave[0], 0, weights);
    int32_t sum = vaddvq_s8(first);
    vstrbq_s8(job->w[0][0], first);
    for (uint32_t v = 1; v < vectors; v++) {
        const int8x16_t w = weights_of(&layer->weave[0], v, weights);
        vstrbq_s8(job->w[0][v], w);
        sum = vaddvaq_s8(sum, w);
    }
    for (uint32_t j = 1; j < rows; j++) {
        for (uint32_t v = 0; v < vectors; v++) {
            vstrbq_s8(job->w[j][v], weights_of(&layer->weave[j], v, weights));
        }
    }
    return sum;
}

/* Entry k of a list of channels. */
static inline size_t channel_of(const uint16_t *outputs, size_t k)
{
    return outputs == NULL ? k : outputs[k];
}

/* An output channel whose shift is not -1, which is rare: x and y point to the channel. */
static void convolve_scalar(const tt_window *window, const tt_requant *requant, size_t o,
                            const int8_t *weights, int32_t bias, const int8_t *x, int8_t *y)
{
    for (uint32_t oh = 0; oh < window->out_h; oh++) {
        const tt_taps rows = tt_rows_at(window, oh);
        for (uint32_t ow = 0; ow < window->out_w; ow++, y += window->out_c) {
            const tt_taps columns = tt_columns_at(window, ow);
            int32_t acc = bias;
            for (uint32_t kh = rows.begin; kh < rows.end; kh++) {
                for (uint32_t kw = columns.begin; kw < columns.end; kw++) {
                    const int32_t element = x[tt_tap_offset(window, rows, columns, kh, kw)];
                    acc += (element - requant->input_zero) * weights[kh * window->kernel_w + kw];
                }
            }
            *y = tt_requantize_s8(requant, o, acc);
        }
    }
}

/* The same where y may be x: from a copy of the channel in the workspace. The strips of a whole map
 * have room for it: each has 64 bytes for a column of at most 4 rows. */
static void convolve_copy(const tt_window *window, const tt_requant *requant, size_t o,
                          const int8_t *weights, int32_t bias, const int8_t *x, int8_t *y,
                          int8_t *copy)
{
    tt_window alone = *window;
    alone.in_c = 1;
    for (size_t i = 0; i < (size_t)window->in_h * window->in_w; i++) {
        copy[i] = x[i * window->in_c];
    }
    convolve_scalar(&alone, requant, o, weights, bias, copy, y);
}

/* Some of the channels of a layer: entries [begin, end) of the list, whose inputs are in the
 * strips. */
typedef struct {
    const int8_t *weights;
    const uint16_t *outputs;
    const int32_t *bias;
    size_t begin, end;
    size_t multiple; /* outputs of an input */
    size_t first;    /* input channel of the strips */
} tt_channels;

/* The channels through the walks; y points to the first row of the strips. Channels of another
 * shift are left out. rows and vectors are the layer's, and constants after inlining. */
static inline void convolve(const tt_depthwise *layer, uint32_t rows, uint32_t vectors,
                            const tt_channels *channels, tt_lane_job *job, const tt_walk *walks,
                            size_t walk_count, int8_t *y)
{
    const tt_requant *requant = layer->requant;
    const size_t area = (size_t)layer->window->kernel_h * layer->window->kernel_w;
    const int8_t *weights = channels->weights + channels->begin * area;
    const int32_t zero = requant->input_zero;
    for (size_t k = channels->begin; k < channels->end; k++, weights += area) {
        const size_t o = channel_of(channels->outputs, k);
        const size_t input = channels->multiple == 1 ? o : o / channels->multiple;
        if (!layer->is_high_word && requant->shift[o] != -1) {
            continue;
        }
        job->bias = channels->bias[o] - zero * load_weights(layer, rows, vectors, weights, job);
        job->multiplier = requant->multiplier[o];
        tt_take_walk_mve(job, walks, layer->strips.bytes + 4 * (input - channels->first), y + o);
        for (size_t i = 1; i < walk_count; i++) {
            tt_take_walk_mve(job, &walks[i], layer->strips.bytes + 4 * (input - channels->first),
                             y + o);
        }
    }
}

/* What most channels are: all of a layer, with an input each. */
static inline void convolve_plain(const tt_depthwise *layer, uint32_t rows, uint32_t vectors,
                                  const tt_channels *channels, tt_lane_job *job,
                                  const tt_walk *walk, int8_t *y)
{
    const size_t area = (size_t)layer->window->kernel_h * layer->window->kernel_w;
    const size_t begin = channels->begin;
    const int8_t *weights = channels->weights + begin * area;
    const int32_t *bias = channels->bias + begin;
    const int32_t *multiplier = layer->requant->multiplier + begin;
    const int8_t *strip = layer->strips.bytes;
    const int32_t zero = layer->requant->input_zero;
    y += begin;
    for (size_t left = channels->end - begin; left > 0; left--, weights += area, strip += 4) {
        job->bias = *bias++ - zero * load_weights(layer, rows, vectors, weights, job);
        job->multiplier = *multiplier++;
        tt_take_walk_mve(job, walk, strip, y++);
    }
}

__attribute__((noinline)) /* for registers of its own */
static void
convolve_strips(const tt_depthwise *layer, const tt_channels *channels, tt_lane_job *job,
                const tt_walk *walks, size_t walk_count, int8_t *y)
{
    const int is_plain = layer->is_high_word && channels->outputs == NULL &&
                         channels->multiple == 1 && walk_count == 1;
    if (!is_plain) {
        convolve(layer, layer->strips.rows, layer->vectors, channels, job, walks, walk_count, y);
    } else if (layer->is_paired) {
        convolve_plain(layer, 2, 1, channels, job, walks, y);
    } else if (layer->vectors == 3) {
        convolve_plain(layer, 1, 3, channels, job, walks, y);
    } else if (layer->vectors == 4) {
        convolve_plain(layer, 1, 4, channels, job, walks, y);
    } else {
        convolve_plain(layer, 1, 1, channels, job, walks, y);
    }
}

void tt_depthwise_conv2d_s8_mve(const tt_window *window, const tt_requant *requant,
                                const int8_t *weights, const uint16_t *outputs, size_t count,
                                const int32_t *bias, const int8_t *x, int8_t *y, void *workspace)
{
    if (!is_woven(window)) {
        tt_depthwise_conv2d_s8(window, requant, weights, outputs, count, bias, x, y, workspace);
        return;
    }
    const size_t area = (size_t)window->kernel_h * window->kernel_w;
    const size_t multiple = window->out_c / window->in_c;
    tt_depthwise layer;
    tt_lane_job job;
    begin(window, requant, &layer, workspace);
    begin_job(&layer, &job);
    const uint32_t strips = (window->out_h + layer.strips.rows - 1U) / layer.strips.rows;
    const uint32_t fitting = TT_STRIPS_BYTES_MVE / layer.strips.size;
    const uint32_t batch = fitting == 0 ? 1 : fitting < strips ? fitting : strips;
    tt_channels channels = {weights, outputs, bias, 0, 0, multiple, 0};
    for (size_t c = 0; c < window->in_c; c += TT_STRIP_CHANNELS) {
        const size_t inputs =
            window->in_c - c < TT_STRIP_CHANNELS ? window->in_c - c : TT_STRIP_CHANNELS;
        channels.begin = channels.end;
        channels.first = c;
        if (outputs == NULL) {
            channels.end = (c + inputs) * multiple < count ? (c + inputs) * multiple : count;
        } else {
            while (channels.end < count && outputs[channels.end] < (c + inputs) * multiple) {
                channels.end++;
            }
        }
        for (uint32_t first = 0; first < strips && channels.begin < channels.end; first += batch) {
            const uint32_t made = strips - first < batch ? strips - first : batch;
            int8_t *rows = y + (size_t)first * layer.strips.rows * window->out_w * window->out_c;
            tt_walk walks[WALKS];
            const size_t walk_count = plan(&layer, first, made, walks);
            tt_weave_strips_mve(&layer.strips, first, made, (uint32_t)inputs, x + c);
            convolve_strips(&layer, &channels, &job, walks, walk_count, rows);
        }
    }
    for (size_t k = 0; !layer.is_high_word && k < count; k++) {
        const size_t o = channel_of(outputs, k);
        if (requant->shift[o] == -1) {
            continue;
        }
        if (x == y) {
            convolve_copy(window, requant, o, weights + k * area, bias[o], x + o, y + o, workspace);
        } else {
            convolve_scalar(window, requant, o, weights + k * area, bias[o], x + o / multiple,
                            y + o);
        }
    }
}

#endif
