/* The gradient of tt_l2_normalize.c, for one dtype. */

void TT_FN(tt_l2_normalize_, _grad)(size_t rows, size_t channels, int8_t zero, uint64_t inverse,
                                    float scale, const tt_rescale *rescale, const TT_GRAD *g,
                                    const int8_t *x, TT_GRAD *dx)
{
    tt_rounding rounding = TT_FN(tt_rounding_begin_, )(rescale);
    for (size_t row = 0; row < rows; row++, g += channels, x += channels, dx += channels) {
        const uint32_t sum = squares(channels, zero, x);
        if (sum == 0) {
            for (size_t c = 0; c < channels; c++) {
                dx[c] = 0;
            }
            continue;
        }
        TT_WIDE dot = 0;
        for (size_t c = 0; c < channels; c++) {
            dot += (TT_WIDE)(x[c] - zero) * (TT_WIDE)g[c];
        }
        const TT_FN(vector_type_, ) vector = TT_FN(vector_, )(dot, sum, inverse, scale);
        for (size_t c = 0; c < channels; c++) {
            const TT_WIDE acc = TT_FN(across_, )(g[c], x[c] - zero, vector);
            dx[c] = TT_FN(tt_rounded_wide_, )(acc, &rounding);
        }
    }
    TT_FN(tt_rounding_end_, )(rescale, rounding);
}
