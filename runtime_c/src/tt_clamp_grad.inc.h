/* Gradients of tt_clamp.c, for one dtype. */

void TT_FN(tt_grad_clamp_, )(size_t size, int8_t lo, int8_t hi, const TT_GRAD *g, const int8_t *y, TT_GRAD *out)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = lo < y[i] && y[i] < hi ? g[i] : 0;
    }
}

void TT_FN(tt_grad_clamp_mask_, )(size_t size, const TT_GRAD *g, const uint8_t *mask, TT_GRAD *out)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = ((uint32_t)mask[i >> 3] >> (i & 7U) & 1U) != 0 ? g[i] : 0;
    }
}
