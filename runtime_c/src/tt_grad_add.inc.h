/* Body of tt_grad_add.c, for one dtype. */

void TT_FN(tt_grad_add_, )(size_t size, const tt_rescale *rescale, int32_t b_exponent,
                           const TT_GRAD *a, const TT_GRAD *b, TT_GRAD *out)
{
    const int32_t a_exponent = rescale == NULL ? 0 : rescale->input_exponent;
    const int32_t larger = a_exponent > b_exponent ? a_exponent : b_exponent;
    tt_rounding rounding = TT_FN(tt_rounding_begin_, )(rescale);
    rounding.shift -= larger - a_exponent;
    for (size_t i = 0; i < size; i++) {
        const TT_ACC left = TT_FN(aligned_, )(a[i], larger - a_exponent);
        const TT_ACC right = TT_FN(aligned_, )(b[i], larger - b_exponent);
        out[i] = TT_FN(tt_rounded_, )(left + right, &rounding);
    }
    TT_FN(tt_rounding_end_, )(rescale, rounding);
}
