/* The inner loops of depthwise convolutions. */
#include "tt_strip.h"

#include "tt_window.h"

tt_strip tt_strip_at(const tt_window *window, uint32_t first_output)
{
    const uint32_t left = window->out_h - first_output;
    const uint32_t outputs = left < TT_STRIP_ROWS ? left : TT_STRIP_ROWS;
    const int32_t reach = (int32_t)((window->kernel_h - 1U) * window->dilation_h) + 1;
    int32_t begin = tt_rows_at(window, first_output).start;
    int32_t end = tt_rows_at(window, first_output + outputs - 1).start + reach;
    begin = begin < 0 ? 0 : begin;
    end = end < window->in_h ? end : window->in_h;
    return (tt_strip){window, first_output, outputs, (uint32_t)begin, end > begin ? (uint32_t)(end - begin) : 0,
                      tt_reach(window)};
}

void tt_strip_fill(const tt_strip *strip, const int8_t *x, int32_t zero, int32_t *values)
{
    const tt_window *window = strip->window;
    const size_t step = window->in_c;
    const size_t before = window->pad_left < strip->width ? window->pad_left : strip->width;
    const size_t room = strip->width - before;
    const size_t inside = room < window->in_w ? room : window->in_w;
    x += (size_t)strip->first_row * window->in_w * step;
    for (uint32_t row = 0; row < strip->rows; row++, x += window->in_w * step) {
        const int8_t *element = x;
        for (const int32_t *end = values + before; values < end;) {
            *values++ = 0;
        }
        for (const int32_t *end = values + inside; values < end; element += step) {
            *values++ = *element - zero;
        }
        for (const int32_t *end = values + (room - inside); values < end;) {
            *values++ = 0;
        }
    }
}

/* Taps of some rows of a window, as they lie in a strip and in the weights. */
typedef struct {
    uint32_t rows;
    size_t row_step; /* from a row of taps to the next, in the strip */
    size_t columns, column_step;
    const int8_t *w;
} taps;

/* The sums of four neighbouring outputs. A structure, because compilers keep its members in registers. */
typedef struct {
    int32_t p0, p1, p2, p3;
} four;

/* What one weight adds to outputs `stride` apart. */
static inline four add_products(four to, int32_t weight, const int32_t *x, size_t stride)
{
    return (four){to.p0 + weight * x[0], to.p1 + weight * x[stride], to.p2 + weight * x[2 * stride],
                  to.p3 + weight * x[3 * stride]};
}

/* What `columns` neighbouring taps add; written out for the usual widths, which makes half of the instructions. */
static inline four add_row(four acc, size_t columns, size_t stride, size_t column_step, const int32_t *x,
                           const int8_t *w)
{
    if (columns != 3 && columns != 5 && columns != 7) {
        for (; columns > 0; columns--, x += column_step) {
            acc = add_products(acc, *w++, x, stride);
        }
        return acc;
    }
    acc = add_products(acc, w[0], x, stride);
    acc = add_products(acc, w[1], x + column_step, stride);
    acc = add_products(acc, w[2], x + 2 * column_step, stride);
    if (columns >= 5) {
        acc = add_products(acc, w[3], x + 3 * column_step, stride);
        acc = add_products(acc, w[4], x + 4 * column_step, stride);
    }
    if (columns == 7) {
        acc = add_products(acc, w[5], x + 5 * column_step, stride);
        acc = add_products(acc, w[6], x + 6 * column_step, stride);
    }
    return acc;
}

static int32_t one_output(const taps *of, const int32_t *x, int32_t sum)
{
    const int8_t *w = of->w;
    for (uint32_t row = of->rows; row > 0; row--, x += of->row_step) {
        const int32_t *tap = x;
        for (size_t column = of->columns; column > 0; column--, tap += of->column_step) {
            sum += *w++ * *tap;
        }
    }
    return sum;
}

/* Inlined for each kind of window, so that columns, stride and column_step are constants in most. */
static inline void row_of_outputs(const taps *of, size_t outputs, size_t columns, size_t stride, size_t column_step,
                                  const int32_t *x, int32_t bias, int32_t *sums)
{
    for (; outputs >= 4; outputs -= 4, x += 4 * stride, sums += 4) {
        four acc = {bias, bias, bias, bias};
        const int32_t *row = x;
        const int8_t *w = of->w;
        for (uint32_t rows = of->rows; rows > 0; rows--, row += of->row_step, w += columns) {
            acc = add_row(acc, columns, stride, column_step, row, w);
        }
        sums[0] = acc.p0;
        sums[1] = acc.p1;
        sums[2] = acc.p2;
        sums[3] = acc.p3;
    }
    for (; outputs > 0; outputs--, x += stride) {
        *sums++ = one_output(of, x, bias);
    }
}

/* A row of outputs of windows without dilation. */
static void row_of_dense_windows(const taps *of, size_t outputs, size_t stride, const int32_t *x, int32_t bias,
                                 int32_t *sums)
{
    switch (stride == 1 ? of->columns : stride == 2 ? of->columns + 100 : 0) {
    case 3:
        row_of_outputs(of, outputs, 3, 1, 1, x, bias, sums);
        return;
    case 5:
        row_of_outputs(of, outputs, 5, 1, 1, x, bias, sums);
        return;
    case 7:
        row_of_outputs(of, outputs, 7, 1, 1, x, bias, sums);
        return;
    case 103:
        row_of_outputs(of, outputs, 3, 2, 1, x, bias, sums);
        return;
    case 105:
        row_of_outputs(of, outputs, 5, 2, 1, x, bias, sums);
        return;
    case 107:
        row_of_outputs(of, outputs, 7, 2, 1, x, bias, sums);
        return;
    default:
        row_of_outputs(of, outputs, of->columns, stride, 1, x, bias, sums);
    }
}

void tt_strip_sums(const tt_strip *strip, const int32_t *values, const int8_t *w, int32_t bias, int32_t *sums)
{
    const tt_window *window = strip->window;
    const size_t outputs = window->out_w;
    for (uint32_t oh = 0; oh < strip->outputs; oh++, sums += outputs) {
        const tt_taps rows = tt_rows_at(window, strip->first_output + oh);
        const uint32_t row = (uint32_t)(rows.start + (int32_t)(rows.begin * window->dilation_h)) - strip->first_row;
        const taps of = {rows.end - rows.begin, window->dilation_h * strip->width, window->kernel_w,
                         window->dilation_w, w + (size_t)rows.begin * window->kernel_w};
        const int32_t *x = values + (of.rows > 0 ? row * strip->width : 0);
        if (window->dilation_w == 1) {
            row_of_dense_windows(&of, outputs, window->stride_w, x, bias, sums);
        } else {
            row_of_outputs(&of, outputs, window->kernel_w, window->stride_w, window->dilation_w, x, bias, sums);
        }
    }
}
