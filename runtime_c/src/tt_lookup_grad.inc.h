/* Gradient of tt_lookup.c, for one dtype. A product is below 2^15 * 2^15 = 2^30. */

void TT_FN(tt_lookup_, _grad)(const int16_t table[256], size_t size, const tt_rescale *rescale,
                              const TT_GRAD *g, const int8_t *x, TT_GRAD *dx)
{
    tt_rounding rounding = TT_FN(tt_rounding_begin_, )(rescale);
    for (size_t i = 0; i < size; i++) {
        dx[i] = TT_FN(tt_rounded_, )(g[i] * TT_FN(slope_, )(table[x[i] + 128], rescale), &rounding);
    }
    TT_FN(tt_rounding_end_, )(rescale, rounding);
}
