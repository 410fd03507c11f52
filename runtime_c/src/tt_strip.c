/* The inner loops of depthwise convolutions. */
#include "tt_strip.h"

#include "tt_window.h"

uint32_t tt_strip_outputs(const tt_window *window)
{
    const uint32_t reach = (window->kernel_h - 1U) * window->dilation_h + 1;
    uint32_t outputs = window->out_h < TT_STRIP_ROWS ? window->out_h : TT_STRIP_ROWS;
    for (; outputs > 1; outputs--) {
        const uint32_t rows = (outputs - 1) * window->stride_h + reach;
        const size_t elements = (rows < window->in_h ? rows : window->in_h) * tt_reach(window);
        if (4 * (elements + outputs * window->out_w) <= TT_STRIP_BYTES) {
            break;
        }
    }
    return outputs;
}

tt_strip tt_strip_at(const tt_window *window, uint32_t first_output, uint32_t outputs)
{
    const uint32_t left = window->out_h - first_output;
    outputs = left < outputs ? left : outputs;
    const int32_t reach = (int32_t)((window->kernel_h - 1U) * window->dilation_h) + 1;
    int32_t begin = tt_rows_at(window, first_output).start;
    int32_t end = tt_rows_at(window, first_output + outputs - 1).start + reach;
    begin = begin < 0 ? 0 : begin;
    end = end < window->in_h ? end : window->in_h;
    return (tt_strip){window,
                      first_output,
                      outputs,
                      (uint32_t)begin,
                      end > begin ? (uint32_t)(end - begin) : 0,
                      tt_reach(window)};
}

uint32_t tt_strip_advance(const tt_strip *held, const tt_strip *next, int32_t *values)
{
    const uint32_t end = held->first_row + held->rows;
    if (end <= next->first_row) {
        return 0;
    }
    const uint32_t kept = end - next->first_row;
    const int32_t *from = values + (next->first_row - held->first_row) * held->width;
    for (size_t i = 0; i < kept * held->width; i++) {
        values[i] = from[i];
    }
    return kept;
}

void tt_strip_fill(const tt_strip *strip, uint32_t from, const int8_t *x, int32_t zero,
                   int32_t *values)
{
    const tt_window *window = strip->window;
    const size_t step = window->in_c;
    const size_t before = window->pad_left < strip->width ? window->pad_left : strip->width;
    const size_t rest = strip->width - before;
    const size_t inside = rest < window->in_w ? rest : window->in_w;
    x += (size_t)(strip->first_row + from) * window->in_w * step;
    values += from * strip->width;
    for (uint32_t row = from; row < strip->rows; row++, x += window->in_w * step) {
        const int8_t *element = x;
        for (const int32_t *end = values + before; values < end;) {
            *values++ = 0;
        }
        for (const int32_t *end = values + inside; values < end; element += step) {
            *values++ = *element - zero;
        }
        for (const int32_t *end = values + (rest - inside); values < end;) {
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

/* The sums of four neighbouring outputs. A structure, because compilers keep its members in
 * registers. */
typedef struct {
    int32_t p0, p1, p2, p3;
} four;

/* What one weight adds to outputs `stride` apart. */
static inline four add_products(four to, int32_t weight, const int32_t *x, size_t stride)
{
    return (four){to.p0 + weight * x[0], to.p1 + weight * x[stride], to.p2 + weight * x[2 * stride],
                  to.p3 + weight * x[3 * stride]};
}

/* What `columns` neighbouring taps add; written out for the usual widths, which makes half of the
 * instructions. */
static inline four add_row(four acc, size_t columns, size_t stride, size_t column_step,
                           const int32_t *x, const int8_t *w)
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

/* Four neighbours at a time. Inlined for each kind of window, so that columns, stride and
 * column_step are constants in most. */
static inline void outputs_in_fours(const taps *of, size_t fours, size_t columns, size_t stride,
                                    size_t column_step, const int32_t *x, int32_t bias,
                                    int32_t *sums)
{
    for (; fours > 0; fours--, x += 4 * stride, sums += 4) {
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
}

/* A row of outputs of windows `stride` apart. */
static void row_of_outputs(const taps *of, size_t outputs, size_t stride, const int32_t *x,
                           int32_t bias, int32_t *sums)
{
    const size_t fours = outputs / 4;
    switch (of->column_step == 1 && stride <= 2 ? of->columns + (stride - 1) * 100 : 0) {
    case 3:
        outputs_in_fours(of, fours, 3, 1, 1, x, bias, sums);
        break;
    case 5:
        outputs_in_fours(of, fours, 5, 1, 1, x, bias, sums);
        break;
    case 7:
        outputs_in_fours(of, fours, 7, 1, 1, x, bias, sums);
        break;
    case 103:
        outputs_in_fours(of, fours, 3, 2, 1, x, bias, sums);
        break;
    case 105:
        outputs_in_fours(of, fours, 5, 2, 1, x, bias, sums);
        break;
    case 107:
        outputs_in_fours(of, fours, 7, 2, 1, x, bias, sums);
        break;
    default:
        outputs_in_fours(of, fours, of->columns, stride, of->column_step, x, bias, sums);
    }
    for (size_t done = 4 * fours; done < outputs; done++) {
        sums[done] = one_output(of, x + done * stride, bias);
    }
}

void tt_strip_sums(const tt_strip *strip, const int32_t *values, const int8_t *w, int32_t bias,
                   int32_t *sums)
{
    const tt_window *window = strip->window;
    const size_t outputs = window->out_w;
    for (uint32_t oh = 0; oh < strip->outputs; oh++, sums += outputs) {
        const tt_taps rows = tt_rows_at(window, strip->first_output + oh);
        const uint32_t row =
            (uint32_t)(rows.start + (int32_t)(rows.begin * window->dilation_h)) - strip->first_row;
        const taps of = {rows.end - rows.begin, window->dilation_h * strip->width, window->kernel_w,
                         window->dilation_w, w + (size_t)rows.begin * window->kernel_w};
        const int32_t *x = values + (of.rows > 0 ? row * strip->width : 0);
        row_of_outputs(&of, outputs, window->stride_w, x, bias, sums);
    }
}
