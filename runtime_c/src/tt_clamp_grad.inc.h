/* Gradients of tt_clamp.c, for one dtype. */

void TT_FN(tt_grad_clamp_, )(size_t size, int8_t lo, int8_t hi, const TT_GRAD *g, const int8_t *y,
                             TT_GRAD *out)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = lo < y[i] && y[i] < hi ? g[i] : 0;
    }
}

/* The first four bits, each with its element, which is read in any case: no branch is needed
 * then. */
static inline void TT_FN(pass_four_, )(uint32_t bits, const TT_GRAD *g, TT_GRAD *out)
{
    const TT_GRAD g0 = g[0];
    const TT_GRAD g1 = g[1];
    const TT_GRAD g2 = g[2];
    const TT_GRAD g3 = g[3];
    out[0] = (bits & 1U) != 0 ? g0 : 0;
    out[1] = (bits & 2U) != 0 ? g1 : 0;
    out[2] = (bits & 4U) != 0 ? g2 : 0;
    out[3] = (bits & 8U) != 0 ? g3 : 0;
}

void TT_FN(tt_grad_clamp_mask_, )(size_t size, const TT_GRAD *g, const uint8_t *mask, TT_GRAD *out)
{
    for (; size >= 8; size -= 8, g += 8, out += 8) {
        const uint32_t bits = *mask++;
        TT_FN(pass_four_, )(bits, g, out);
        TT_FN(pass_four_, )(bits >> 4, g + 4, out + 4);
    }
    for (size_t i = 0; i < size; i++) {
        out[i] = ((uint32_t)*mask >> i & 1U) != 0 ? g[i] : 0;
    }
}
