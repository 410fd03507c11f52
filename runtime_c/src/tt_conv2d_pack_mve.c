/* The rows of tt_conv2d_pack_mve.h. */
#include "tt_conv2d_pack_mve.h"

#if defined(__ARM_FEATURE_MVE)

#include <arm_mve.h>

#include "tt_window.h"

static int8_t *copy(int8_t *to, const int8_t *from, size_t count)
{
    for (size_t j = 0; j < count; j += 16) {
        const mve_pred16_t inside = vctp8q((uint32_t)(count - j));
        vstrbq_p_s8(to + j, vldrbq_z_s8(from + j, inside), inside);
    }
    return to + count;
}

static int8_t *fill(int8_t *to, int8_t value, size_t count)
{
    for (size_t j = 0; j < count; j += 16) {
        vstrbq_p_s8(to + j, vdupq_n_s8(value), vctp8q((uint32_t)(count - j)));
    }
    return to + count;
}

/* Channels of one tap; from points to the first channel of the group. */
static int8_t *copy_tap(int8_t *to, const tt_segment *segment, const int8_t *from)
{
    if (segment->channels == NULL) {
        return copy(to, from, segment->count);
    }
    for (size_t j = 0; j < segment->count; j += 8) {
        const mve_pred16_t inside = vctp16q((uint32_t)(segment->count - j));
        const uint16x8_t channels = vldrhq_z_u16(segment->channels + j, inside);
        vstrbq_p_s16(to + j, vldrbq_gather_offset_z_s16(from, channels, inside), inside);
    }
    return to + segment->count;
}

/* The inputs of one row of a window that segment and group read; row is that row of the map, at the
 * first channel of the group, NULL outside the map. */
static int8_t *pack_row(const tt_packing *packing, const tt_segment *segment, tt_taps columns,
                        int8_t *to, const int8_t *row)
{
    const tt_window *window = packing->window;
    const size_t count = segment->count;
    if (row == NULL || columns.begin == columns.end) {
        return fill(to, packing->zero, window->kernel_w * count);
    }
    row += (columns.start + (int32_t)(columns.begin * window->dilation_w)) * (int32_t)window->in_c;
    if (columns.begin > 0) {
        to = fill(to, packing->zero, columns.begin * count);
    }
    if (segment->channels == NULL && count == window->in_c && window->dilation_w == 1) {
        to = copy(to, row, (columns.end - columns.begin) * count);
    } else {
        const size_t step = (size_t)window->dilation_w * window->in_c;
        for (uint32_t kw = columns.begin; kw < columns.end; kw++, row += step) {
            to = copy_tap(to, segment, row);
        }
    }
    if (columns.end < window->kernel_w) {
        to = fill(to, packing->zero, (window->kernel_w - columns.end) * count);
    }
    return to;
}

/* Any window, tap by tap. */
static void pack_taps(const tt_packing *packing, uint32_t oh, uint32_t ow, const int8_t *x,
                      int8_t *to)
{
    const tt_window *window = packing->window;
    const tt_taps columns = tt_columns_at(window, ow);
    const size_t row_step = (size_t)window->in_w * window->in_c;
    for (size_t s = 0; s < packing->segment_count; s++) {
        for (uint32_t kh = 0; kh < window->kernel_h; kh++) {
            const int32_t ih = tt_input_row(window, oh, kh);
            const int8_t *row = ih < 0 ? NULL : x + (size_t)ih * row_step;
            to = pack_row(packing, &packing->segments[s], columns, to, row);
        }
    }
}

/* The first input of the window at (oh, ow), or NULL where the window is not a block of the map:
 * it reaches into the padding, or only some channels belong to it, or its columns are not
 * neighbours. */
static const int8_t *block_at(const tt_packing *packing, uint32_t oh, uint32_t ow, const int8_t *x)
{
    const tt_window *window = packing->window;
    const int32_t ih = (int32_t)(oh * window->stride_h) - window->pad_top;
    const int32_t iw = (int32_t)(ow * window->stride_w) - window->pad_left;
    if (!packing->is_block || ih < 0 || iw < 0 || iw + window->kernel_w > window->in_w ||
        ih + (window->kernel_h - 1) * window->dilation_h >= window->in_h) {
        return NULL;
    }
    return x + ((size_t)ih * window->in_w + (size_t)iw) * window->in_c;
}

/* A block of the map, row by row. In assembly for tail predication. */
static void pack_block(const tt_window *window, const int8_t *from, int8_t *to)
{
    const size_t row = (size_t)window->kernel_w * window->in_c;
    const size_t moved = (row + 15) / 16 * 16;
    const size_t step = (size_t)window->dilation_h * window->in_w * window->in_c - moved;
    const size_t back = moved - row;
    uint32_t rows = window->kernel_h;
    __asm volatile("2:\n"
                   "dlstp.8 lr, %[row]\n"
                   "1:\n"
                   "vldrb.8 q0, [%[from]], #16\n"
                   "vstrb.8 q0, [%[to]], #16\n"
                   "letp lr, 1b\n"
                   "add %[from], %[from], %[step]\n"
                   "sub %[to], %[to], %[back]\n"
                   "subs %[rows], %[rows], #1\n"
                   "bne 2b\n"
                   : [from] "+r"(from), [to] "+r"(to), [rows] "+r"(rows)
                   : [row] "r"(row), [step] "r"(step), [back] "r"(back)
                   : "q0", "lr", "cc", "memory");
}

void tt_pack_window_mve(const tt_packing *packing, uint32_t oh, uint32_t ow, const int8_t *x,
                        int8_t *to)
{
    const int8_t *block = block_at(packing, oh, ow, x);
    if (block != NULL) {
        pack_block(packing->window, block, to);
    } else {
        pack_taps(packing, oh, ow, x, to);
    }
}

/* Blocks of the map at `count` > 0 positions of one row, each into TT_SHORT_WINDOW bytes. Requires
 * rows of a block of at most 16 inputs. */
static void pack_blocks(const tt_window *window, size_t count, const int8_t *from, int8_t *to)
{
    const size_t row = (size_t)window->kernel_w * window->in_c;
    const size_t down = (size_t)window->dilation_h * window->in_w * window->in_c;
    const size_t next = (size_t)window->stride_w * window->in_c - window->kernel_h * down;
    const size_t rest = TT_SHORT_WINDOW - window->kernel_h * row;
    __asm volatile("vctp.8 %[row]\n"
                   "2:\n"
                   "dls lr, %[rows]\n"
                   "1:\n"
                   "vpstt\n"
                   "vldrbt.8 q0, [%[from]]\n"
                   "vstrbt.8 q0, [%[to]]\n"
                   "add %[from], %[from], %[down]\n"
                   "add %[to], %[to], %[row]\n"
                   "le lr, 1b\n"
                   "add %[from], %[from], %[next]\n"
                   "add %[to], %[to], %[rest]\n"
                   "subs %[count], %[count], #1\n"
                   "bne 2b\n"
                   : [from] "+r"(from), [to] "+r"(to), [count] "+r"(count)
                   : [row] "r"(row), [down] "r"(down), [next] "r"(next), [rest] "r"(rest),
                     [rows] "r"(window->kernel_h)
                   : "q0", "lr", "cc", "memory");
}

void tt_pack_panel_mve(const tt_packing *packing, uint32_t oh, const int8_t *x, int8_t *panel)
{
    const tt_window *window = packing->window;
    const int is_short = (size_t)window->kernel_w * window->in_c <= 16;
    for (uint32_t ow = 0; ow < window->out_w;) {
        int8_t *to = panel + (size_t)ow * TT_SHORT_WINDOW;
        const int8_t *block = block_at(packing, oh, ow, x);
        uint32_t count = 1;
        if (block == NULL || !is_short) {
            tt_pack_window_mve(packing, oh, ow, x, to);
        } else {
            /* All positions up to the last whose window does not reach beyond the right edge. */
            const uint32_t end =
                ((uint32_t)window->in_w + window->pad_left - window->kernel_w) / window->stride_w +
                1;
            count = (end < window->out_w ? end : window->out_w) - ow;
            pack_blocks(window, count, block, to);
        }
        ow += count;
    }
}

#endif
