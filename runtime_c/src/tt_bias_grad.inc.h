/* Body of tt_bias.c, for one dtype. At most 65,536 positions of |G| < 2^15: sums fit 32 bits
 * (TT_ACC), too. */

/* Four channels are summed together, so that a row is read once and not an element of each. */
static inline void TT_FN(sum_channels_, )(size_t positions, size_t channels, size_t block,
                                          const TT_GRAD *g, TT_ACC *sums)
{
    TT_ACC sum0 = 0;
    TT_ACC sum1 = 0;
    TT_ACC sum2 = 0;
    TT_ACC sum3 = 0;
    for (; positions > 0; positions--, g += channels) {
        sum0 += g[0];
        if (block == 4) {
            sum1 += g[1];
            sum2 += g[2];
            sum3 += g[3];
        }
    }
    sums[0] = sum0;
    sums[1] = sum1;
    sums[2] = sum2;
    sums[3] = sum3;
}

void TT_FN(tt_bias_, _grad)(size_t positions, size_t channels, const tt_update *update,
                            const tt_step *step, const TT_GRAD *g, int32_t *bias)
{
    tt_sgd sgd = tt_sgd_begin(update, step);
    for (size_t o = 0; o < channels;) {
        const size_t block = channels - o < 4 ? 1 : 4;
        TT_ACC sums[4];
        if (block == 4) {
            TT_FN(sum_channels_, )(positions, channels, 4, g + o, sums);
        } else {
            TT_FN(sum_channels_, )(positions, channels, 1, g + o, sums);
        }
        for (size_t i = 0; i < block; i++, o++) {
            TT_FN(tt_sgd_channel_, )(&sgd, update, step, o);
            const int64_t d = TT_FN(tt_delta_, )(&sgd, sums[i]);
            tt_count(&sgd, sums[i] != 0, d);
            bias[o] = tt_apply_bias(bias[o], d);
        }
    }
}
