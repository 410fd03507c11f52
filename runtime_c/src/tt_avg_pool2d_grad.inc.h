/* Gradient of tt_avg_pool2d.c, for one dtype. */

/* acc[i] = sum over the windows that hold element (ih, iw) of pre(G, m[count]), in the order of
 * their taps; g points to the first channel of the block. |acc| <= 2^30 by the choice of the
 * factors. */
static void TT_FN(mean_block_, )(const tt_window *window, const tt_factors *factors,
                                 int count_include_pad, uint32_t ih, uint32_t iw, size_t block,
                                 const TT_GRAD *g, TT_ACC *acc)
{
    for (uint32_t kh = 0; kh < window->kernel_h; kh++) {
        const int32_t oh = tt_output_row(window, ih, kh);
        for (uint32_t kw = 0; oh >= 0 && kw < window->kernel_w; kw++) {
            const int32_t ow = tt_output_column(window, iw, kw);
            if (ow < 0) {
                continue;
            }
            const size_t count =
                (size_t)tt_divisor(window, tt_rows_at(window, (uint32_t)oh),
                                   tt_columns_at(window, (uint32_t)ow), count_include_pad);
            const TT_GRAD *element = g + ((size_t)oh * window->out_w + (size_t)ow) * window->out_c;
            for (size_t i = 0; i < block; i++) {
                acc[i] += TT_FN(tt_factored_, )(element[i], factors, count - 1);
            }
        }
    }
}

/* The gradient of a patch; g points to the first channel of the outputs, dx to that of the first
 * element. */
static void TT_FN(patch_, )(const tt_window *window, const tt_factors *factors,
                            int count_include_pad, const tt_patch *patch, tt_rounding *rounding,
                            const TT_GRAD *g, TT_GRAD *dx)
{
    const size_t row_step = (size_t)(window->in_w - patch->columns) * window->in_c;
    for (size_t c = 0; c < window->in_c; c += TT_CHANNEL_BLOCK, dx += TT_CHANNEL_BLOCK) {
        const size_t left = window->in_c - c;
        const size_t block = left < TT_CHANNEL_BLOCK ? left : TT_CHANNEL_BLOCK;
        TT_ACC acc[TT_CHANNEL_BLOCK] = {0};
        TT_FN(mean_block_, )(window, factors, count_include_pad, patch->ih, patch->iw, block, g + c,
                             acc);
        for (size_t i = 0; i < block; i++) {
            const TT_GRAD value = TT_FN(tt_rounded_, )(acc[i], rounding);
            TT_GRAD *to = dx + i;
            for (uint32_t row = 0; row < patch->rows; row++, to += row_step) {
                for (uint32_t column = 0; column < patch->columns; column++, to += window->in_c) {
                    *to = value;
                }
            }
        }
    }
}

void TT_FN(tt_avg_pool2d_, _grad)(const tt_window *window, const tt_factors *factors,
                                  int count_include_pad, const tt_rescale *rescale,
                                  const TT_GRAD *g, TT_GRAD *dx)
{
    tt_rounding rounding = TT_FN(tt_rounding_begin_, )(rescale);
    tt_patch patch = {0, 0, 0, 0};
    for (; patch.ih < window->in_h; patch.ih += patch.rows) {
        patch.rows = tt_alike_rows(window, patch.ih);
        for (patch.iw = 0; patch.iw < window->in_w; patch.iw += patch.columns) {
            patch.columns = tt_alike_columns(window, patch.iw);
            TT_GRAD *to = dx + ((size_t)patch.ih * window->in_w + patch.iw) * window->in_c;
            TT_FN(patch_, )(window, factors, count_include_pad, &patch, &rounding, g, to);
        }
    }
    TT_FN(tt_rounding_end_, )(rescale, rounding);
}
