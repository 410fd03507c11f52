/* Body of tt_negate.c, for one dtype. */

void TT_FN(tt_negate_, )(size_t size, const TT_GRAD *g, TT_GRAD *out)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = (TT_GRAD)(-g[i]);
    }
}
