/* Largest element of a window, and its gradient. */
#include "tt_gradient.h"
#include "tt_window.h"

/* y[c] = max(y[c], element[c]); `tap` wins where the element is larger, and everywhere if it is the
 * first. */
static void compare(size_t channels, int first, const int8_t *element, uint8_t tap, int8_t *y,
                    uint8_t *winner)
{
    for (size_t c = 0; c < channels; c++) {
        if (first || element[c] > y[c]) {
            y[c] = element[c];
            if (winner != NULL) {
                winner[c] = tap;
            }
        }
    }
}

void tt_max_pool2d_s8(const tt_window *window, int8_t lo, int8_t hi, const int8_t *x, int8_t *y,
                      uint8_t *winner)
{
    const size_t channels = window->in_c;
    for (uint32_t oh = 0; oh < window->out_h; oh++) {
        const tt_taps rows = tt_rows_at(window, oh);
        for (uint32_t ow = 0; ow < window->out_w; ow++, y += channels) {
            const tt_taps columns = tt_columns_at(window, ow);
            for (uint32_t kh = rows.begin; kh < rows.end; kh++) {
                for (uint32_t kw = columns.begin; kw < columns.end; kw++) {
                    const int first = kh == rows.begin && kw == columns.begin;
                    const int8_t *element = x + tt_tap_offset(window, rows, columns, kh, kw);
                    compare(channels, first, element, (uint8_t)(kh * window->kernel_w + kw), y,
                            winner);
                }
            }
            for (size_t c = 0; c < channels; c++) {
                y[c] = tt_offset_s8(y[c], 0, lo, hi);
            }
            winner = winner == NULL ? NULL : winner + channels;
        }
    }
}

#define TT_BODY "tt_max_pool2d_grad.inc.h"
#include "tt_each_dtype.inc.h"
