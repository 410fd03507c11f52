/* Gradients of tt_depthwise_conv2d.c, for one dtype. */

/* acc[kw * step] += factored * w[kw] for a row of taps. */
static inline void TT_FN(add_taps_, )(size_t columns, size_t step, TT_ACC factored, const int8_t *w,
                                      TT_ACC *acc)
{
    for (; columns >= 2; columns -= 2, w += 2, acc += 2 * step) {
        acc[0] += factored * (TT_ACC)w[0];
        acc[step] += factored * (TT_ACC)w[1];
    }
    if (columns != 0) {
        acc[0] += factored * (TT_ACC)w[0];
    }
}

/* What a row of outputs brings to the band, channels o to o + multiple, through the rows of taps
 * from w on, the first of which reads the row of the band that begins at acc, padding included.
 * From right to left, so that f32 sums run over kw, o; a G of 0 adds nothing to any sum. */
static TT_ALONE void TT_FN(scatter_row_, )(const tt_window *window, const tt_factors *factors,
                                           size_t o, size_t multiple, uint32_t rows,
                                           size_t row_step, const int8_t *w, const TT_GRAD *g,
                                           TT_ACC *acc)
{
    const size_t channels = window->out_c;
    const size_t columns = window->kernel_w;
    const size_t step = window->dilation_w;
    for (size_t left = window->out_w * multiple, ow = window->out_w, m = multiple; left > 0;
         left--, m++) {
        if (m == multiple) {
            m = 0;
            ow--;
        }
        const TT_GRAD gradient = g[ow * channels + m];
        if (gradient == 0) {
            continue;
        }
        const TT_ACC factored = TT_FN(tt_factored_, )(gradient, factors, o + m);
        const int8_t *weights = w + m * window->kernel_h * columns;
        TT_ACC *to = acc + ow * window->stride_w;
        for (uint32_t row = 0; row < rows; row++, weights += columns, to += row_step) {
            if (step == 1) {
                TT_FN(add_taps_, )(columns, 1, factored, weights, to);
            } else {
                TT_FN(add_taps_, )(columns, step, factored, weights, to);
            }
        }
    }
}

/* Rows of the input whose sums lie in the workspace at a time. */
typedef struct {
    uint32_t first, rows;
    size_t width; /* padding and all that windows reach included */
} TT_FN(band_, );

/* acc[rows][width]: sums of one input channel, which entries k to k + multiple of the list read.
 * |acc| <= 2^30 by the choice of the factors. f32 sums run over kh, kw, o, which is from the last
 * output to the first. */
static void TT_FN(sum_band_, )(const tt_window *window, TT_FN(band_, ) band, const int8_t *weights,
                               const uint16_t *outputs, size_t k, const tt_factors *factors,
                               const TT_GRAD *g, TT_ACC *acc)
{
    const size_t multiple = window->out_c / window->in_c;
    const size_t o = listed(outputs, k);
    for (size_t i = 0; i < band.rows * band.width; i++) {
        acc[i] = 0;
    }
    for (uint32_t oh = window->out_h; oh-- > 0;) {
        const tt_taps rows = tt_taps_at(oh, window->stride_h, window->pad_top + band.first,
                                        window->dilation_h, window->kernel_h, band.rows);
        if (rows.begin == rows.end) {
            continue;
        }
        const size_t row = (size_t)(rows.start + (int32_t)(rows.begin * window->dilation_h));
        TT_FN(scatter_row_, )(
            window, factors, o, multiple, rows.end - rows.begin, window->dilation_h * band.width,
            weights + (k * window->kernel_h + rows.begin) * window->kernel_w,
            g + (size_t)oh * window->out_w * window->out_c + o, acc + row * band.width);
    }
}

void TT_FN(tt_depthwise_conv2d_, _grad_input)(const tt_window *window, const int8_t *weights,
                                              const uint16_t *outputs, size_t count,
                                              const tt_factors *factors, const tt_rescale *rescale,
                                              const TT_GRAD *g, TT_GRAD *dx, void *workspace)
{
    const size_t multiple = window->out_c / window->in_c;
    const size_t reach = tt_reach(window);
    const size_t padded = (size_t)window->pad_left + window->in_w;
    const size_t width = reach > padded ? reach : padded;
    const uint32_t most = band_rows(window, width);
    TT_ACC *acc = workspace;
    tt_rounding rounding = TT_FN(tt_rounding_begin_, )(rescale);
    for (uint32_t first = 0; first < window->in_h; first += most) {
        const uint32_t left = window->in_h - first;
        const TT_FN(band_, ) band = {first, left < most ? left : most, width};
        for (size_t k = 0; k < count; k += multiple) {
            TT_GRAD *to =
                dx + (size_t)first * window->in_w * window->in_c + listed(outputs, k) / multiple;
            const TT_ACC *sums = acc + window->pad_left;
            TT_FN(sum_band_, )(window, band, weights, outputs, k, factors, g, acc);
            for (uint32_t row = 0; row < band.rows; row++, sums += band.width) {
                for (size_t iw = 0; iw < window->in_w; iw++, to += window->in_c) {
                    *to = TT_FN(tt_rounded_, )(sums[iw], &rounding);
                }
            }
        }
    }
    TT_FN(tt_rounding_end_, )(rescale, rounding);
}

/* sums[kh][kw] of one channel: (x - zero) * G over positions; x and g point to their channels.
 * Bounds and order as in tt_conv2d_grad.inc.h. */
static void TT_FN(window_sums_, )(const tt_window *window, int32_t zero, const int8_t *x,
                                  const TT_GRAD *g, TT_SUM *sums)
{
    const size_t step = (size_t)window->in_c * window->dilation_w;
    for (size_t tap = 0; tap < (size_t)window->kernel_h * window->kernel_w; tap++) {
        sums[tap] = 0;
    }
    for (uint32_t oh = 0; oh < window->out_h; oh++) {
        const tt_taps rows = tt_rows_at(window, oh);
        for (uint32_t ow = 0; ow < window->out_w; ow++, g += window->out_c) {
            const TT_FACTORED gradient = *g;
            if (gradient == 0) {
                continue;
            }
            const tt_taps columns = tt_columns_at(window, ow);
            for (uint32_t kh = rows.begin; columns.begin < columns.end && kh < rows.end; kh++) {
                const int8_t *element = x + tt_tap_offset(window, rows, columns, kh, columns.begin);
                TT_SUM *row = sums + (size_t)kh * window->kernel_w;
                for (uint32_t kw = columns.begin; kw < columns.end; kw++, element += step) {
                    row[kw] += (TT_FACTORED)(*element - zero) * gradient;
                }
            }
        }
    }
}

void TT_FN(tt_depthwise_conv2d_, _grad_weight)(const tt_window *window, const tt_update *update,
                                               const tt_step *step, int8_t x_zero, const int8_t *x,
                                               const TT_GRAD *g, tt_trained *trained,
                                               void *workspace)
{
    const size_t area = (size_t)window->kernel_h * window->kernel_w;
    const size_t multiple = window->out_c / window->in_c;
    TT_SUM *sums = workspace;
    tt_sgd sgd = tt_sgd_begin(update, step);
    for (size_t o = 0; o < window->out_c; o++) {
        TT_FN(tt_sgd_channel_, )(&sgd, update, step, o);
        TT_FN(window_sums_, )(window, x_zero, x + o / multiple, g + o, sums);
        TT_FN(tt_apply_sums_, )(&sgd, trained, o * area, area, sums);
    }
}
