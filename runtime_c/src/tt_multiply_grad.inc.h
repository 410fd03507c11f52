/* Gradients of tt_multiply.c, for one dtype. */

void TT_FN(tt_multiply_, _grad)(size_t rows, size_t channels, size_t b_row_step,
                                size_t b_channel_step, int8_t b_zero, int16_t mu, float scale,
                                const tt_rescale *rescale, const TT_GRAD *g, const int8_t *b,
                                TT_GRAD *da)
{
    tt_rounding rounding = TT_FN(tt_rounding_begin_, )(rescale);
    for (size_t row = 0; row < rows; row++, b += b_row_step) {
        for (size_t c = 0; c < channels; c++) {
            const TT_WIDE product = (TT_WIDE)*g++ * (TT_WIDE)(b[c * b_channel_step] - b_zero);
            *da++ = TT_FN(tt_rounded_wide_, )(TT_FN(scaled_, )(product, mu, scale), &rounding);
        }
    }
    TT_FN(tt_rounding_end_, )(rescale, rounding);
}

void TT_FN(tt_multiply_, _grad_broadcast)(size_t rows, size_t channels, size_t b_channel_step,
                                          int8_t a_zero, int16_t mu, float scale,
                                          const tt_rescale *rescale, const TT_GRAD *g,
                                          const int8_t *a, TT_GRAD *db)
{
    /* Each of the `sums` sums runs over `rows` rows of `run` successive elements. */
    const size_t sums = b_channel_step == 0 ? 1 : channels;
    const size_t run = channels / sums;
    tt_rounding rounding = TT_FN(tt_rounding_begin_, )(rescale);
    for (size_t c = 0; c < sums; c++) {
        TT_WIDE sum = 0;
        for (size_t row = 0; row < rows; row++) {
            for (size_t i = row * channels + c; i < row * channels + c + run; i++) {
                sum += (TT_WIDE)g[i] * (TT_WIDE)(a[i] - a_zero);
            }
        }
        db[c] = TT_FN(tt_rounded_wide_, )(TT_FN(scaled_, )(sum, mu, scale), &rounding);
    }
    TT_FN(tt_rounding_end_, )(rescale, rounding);
}
