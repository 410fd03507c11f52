/* Channels of maps as rows of positions, which VMLADAVA reduces. */
#ifndef TT_TRANSPOSE_MVE_H
#define TT_TRANSPOSE_MVE_H

#if defined(__ARM_FEATURE_MVE)

#include <arm_mve.h>
#include <stddef.h>

#include "tt_window.h"

/* Channels that one pass moves. */
#define TT_TRANSPOSED 8U

/* to[c * pitch + p] = from[p * step + c] for c < channels <= 8, p < count. Requires pitch < 2^16
 * / 7. In assembly for its predicate, which serves a load and a store. */
static inline void tt_transpose_run(size_t count, const int8_t *from, size_t step,
                                    uint32_t channels, size_t pitch, int8_t *to)
{
    const uint16x8_t rows = vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)pitch);
    if (count == 0) {
        return;
    }
    __asm volatile(
        "vctp.16 %[channels]\n"
        "dls lr, %[count]\n"
        "1:\n"
        "vpstt\n"
        "vldrbt.s16 q0, [%[from]]\n"
        "vstrbt.16 q0, [%[to], %q[rows]]\n"
        "add %[from], %[from], %[step]\n"
        "add %[to], %[to], #1\n"
        "le lr, 1b\n"
        : [from] "+l"(from), [to] "+r"(to)
        : [count] "r"(count), [step] "r"(step), [channels] "r"(channels), [rows] "w"(rows)
        : "q0", "lr", "cc", "memory");
}

/* Positions of a row, rounded up to whole vectors. */
static inline size_t tt_padded(size_t positions)
{
    return (positions + 15) / 16 * 16;
}

/* Rows of the inputs that tap (kh, kw) reads, all positions, for up to eight channels that x points
 * to; pitch is from row to row. */
static inline void tt_transpose_tap(const tt_window *window, uint32_t kh, uint32_t kw, int8_t zero,
                                    const int8_t *x, uint32_t channels, size_t pitch, int8_t *to)
{
    int8_t padding[TT_TRANSPOSED];
    const int32_t stride = window->stride_w;
    /* Output column ow reads input column ow * stride - back. */
    const int32_t back = window->pad_left - (int32_t)(kw * window->dilation_w);
    const int32_t reach = window->in_w - 1 + back;
    const int32_t most = reach < 0 ? 0 : reach / stride + 1;
    const int32_t end = most < window->out_w ? most : window->out_w;
    const int32_t first = back > 0 ? (back + stride - 1) / stride : 0;
    const int32_t begin = first < end ? first : end;
    vstrbq_s16(padding, vdupq_n_s16(zero));
    for (uint32_t oh = 0; oh < window->out_h; oh++, to += window->out_w) {
        const int32_t ih = tt_input_row(window, oh, kh);
        if (ih < 0) {
            tt_transpose_run(window->out_w, padding, 0, channels, pitch, to);
            continue;
        }
        const int8_t *row =
            x + ((size_t)ih * window->in_w + (size_t)(begin * stride - back)) * window->in_c;
        tt_transpose_run((size_t)begin, padding, 0, channels, pitch, to);
        tt_transpose_run((size_t)(end - begin), row, (size_t)stride * window->in_c, channels, pitch,
                         to + begin);
        tt_transpose_run((size_t)(window->out_w - end), padding, 0, channels, pitch, to + end);
    }
}

/* Up to eight channels of a gradient, `positions` of them, 0 up to the padded length. */
static inline void tt_transpose_gradient(size_t positions, const int8_t *g, size_t step,
                                         uint32_t channels, int8_t *to)
{
    static const int8_t nothing[TT_TRANSPOSED];
    const size_t pitch = tt_padded(positions);
    tt_transpose_run(positions, g, step, channels, pitch, to);
    tt_transpose_run(pitch - positions, nothing, 0, channels, pitch, to + positions);
}

static inline int32_t tt_row_sum(size_t padded, const int8_t *row)
{
    int32_t sum = 0;
    for (size_t p = 0; p < padded; p += 16) {
        sum = vaddvaq_s8(sum, vldrbq_s8(row + p));
    }
    return sum;
}

#endif
#endif
