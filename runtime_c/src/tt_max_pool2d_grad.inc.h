/* Gradient of tt_max_pool2d.c, for one dtype. */

/* acc[i] = sum of G over the windows that element (ih, iw) won, in the order of their taps; g and
 * winner point to the first channel of the block. At most 256 windows of |G| < 2^15: below 2^23. */
static void TT_FN(won_block_, )(const tt_window *window, uint32_t ih, uint32_t iw, size_t block,
                                const TT_GRAD *g, const uint8_t *winner, TT_ACC *acc)
{
    for (uint32_t kh = 0; kh < window->kernel_h; kh++) {
        const int32_t oh = tt_output_row(window, ih, kh);
        for (uint32_t kw = 0; oh >= 0 && kw < window->kernel_w; kw++) {
            const int32_t ow = tt_output_column(window, iw, kw);
            if (ow < 0) {
                continue;
            }
            const size_t offset = ((size_t)oh * window->out_w + (size_t)ow) * window->out_c;
            for (size_t i = 0; i < block; i++) {
                acc[i] += winner[offset + i] == kh * window->kernel_w + kw ? g[offset + i] : 0;
            }
        }
    }
}

void TT_FN(tt_max_pool2d_, _grad)(const tt_window *window, const tt_rescale *rescale,
                                  const TT_GRAD *g, const uint8_t *winner, TT_GRAD *dx)
{
    tt_rounding rounding = TT_FN(tt_rounding_begin_, )(rescale);
    for (uint32_t ih = 0; ih < window->in_h; ih++) {
        for (uint32_t iw = 0; iw < window->in_w; iw++) {
            for (size_t c = 0; c < window->in_c; c += TT_CHANNEL_BLOCK) {
                const size_t left = window->in_c - c;
                const size_t block = left < TT_CHANNEL_BLOCK ? left : TT_CHANNEL_BLOCK;
                TT_ACC acc[TT_CHANNEL_BLOCK] = {0};
                TT_FN(won_block_, )(window, ih, iw, block, g + c, winner + c, acc);
                for (size_t i = 0; i < block; i++) {
                    *dx++ = TT_FN(tt_rounded_, )(acc[i], &rounding);
                }
            }
        }
    }
    TT_FN(tt_rounding_end_, )(rescale, rounding);
}
