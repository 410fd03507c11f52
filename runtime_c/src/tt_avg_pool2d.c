/* Mean over a window, and its gradient. */
#include "tt_avg_pool2d.h"

/* acc[i] = sum of (x - zero) over the taps inside the map: at most 65,536 * 255 < 2^24. */
static void sum_block(const tt_window *window, tt_taps rows, tt_taps columns, size_t block,
                      const int8_t *x, int32_t zero, int32_t *acc)
{
    for (uint32_t kh = rows.begin; kh < rows.end; kh++) {
        for (uint32_t kw = columns.begin; kw < columns.end; kw++) {
            const int8_t *element = x + tt_tap_offset(window, rows, columns, kh, kw);
            for (size_t i = 0; i < block; i++) {
                acc[i] += element[i] - zero;
            }
        }
    }
}

/* The mean in the quantization of the output. With the input's own quantization the zero point
 * comes back once for each of the `count` taps, so that taps in the padding count as real zeros. */
static inline int8_t mean(const tt_requant *requant, int32_t sum, int32_t count)
{
    if (requant->multiplier != NULL) {
        return tt_requantize_s8(requant, (size_t)count - 1, sum);
    }
    const int32_t total = sum + count * requant->input_zero;
    const int32_t half = count / 2;
    return tt_offset_s8((total < 0 ? total - half : total + half) / count, 0, requant->lo,
                        requant->hi);
}

void tt_avg_pool2d_s8(const tt_window *window, const tt_requant *requant, int count_include_pad,
                      const int8_t *x, int8_t *y)
{
    for (uint32_t oh = 0; oh < window->out_h; oh++) {
        const tt_taps rows = tt_rows_at(window, oh);
        for (uint32_t ow = 0; ow < window->out_w; ow++) {
            const tt_taps columns = tt_columns_at(window, ow);
            const int32_t count = tt_divisor(window, rows, columns, count_include_pad);
            for (size_t c = 0; c < window->in_c; c += TT_CHANNEL_BLOCK) {
                const size_t left = window->in_c - c;
                const size_t block = left < TT_CHANNEL_BLOCK ? left : TT_CHANNEL_BLOCK;
                int32_t acc[TT_CHANNEL_BLOCK] = {0};
                sum_block(window, rows, columns, block, x + c, requant->input_zero, acc);
                for (size_t i = 0; i < block; i++) {
                    *y++ = mean(requant, acc[i], count);
                }
            }
        }
    }
}

#define TT_BODY "tt_avg_pool2d_grad.inc.h"
#include "tt_each_dtype.inc.h"
