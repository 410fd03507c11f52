/* Body of tt_bias.c, for one dtype. At most 65,536 positions of |G| < 2^15: sums fit 32 bits (TT_ACC), too. */

void TT_FN(tt_bias_, _grad)(size_t positions, size_t channels, const tt_update *update, const tt_step *step,
                            const TT_GRAD *g, int32_t *bias)
{
    tt_sgd sgd = tt_sgd_begin(update, step);
    for (size_t o = 0; o < channels; o++) {
        TT_ACC sum = 0;
        for (size_t i = o; i < positions * channels; i += channels) {
            sum += g[i];
        }
        TT_FN(tt_sgd_channel_, )(&sgd, update, step, o);
        bias[o] = tt_apply_bias(bias[o], TT_FN(tt_delta_, )(&sgd, sum));
    }
}
