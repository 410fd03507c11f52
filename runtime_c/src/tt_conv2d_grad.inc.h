/* Gradients of tt_conv2d.c, for one dtype. */

/* acc[j] = sum over taps and output channels of pre(G, m) * w, for the columns of one segment and one
 * group at input element (ih, iw). |acc| <= 2^30 by the choice of the factors. f32 sums run over kh, kw, o:
 * an output channel whose product is 0 adds nothing to any sum and is left out. */
static void TT_FN(input_sums_, )(const tt_window *window, const tt_segment *segment, size_t group,
                                 const tt_factors *factors, uint32_t ih, uint32_t iw, const TT_GRAD *g, TT_ACC *acc)
{
    const size_t outputs = window->out_c / window->groups;
    const size_t count = segment->count;
    for (size_t j = 0; j < count; j++) {
        acc[j] = 0;
    }
    for (uint32_t kh = 0; kh < window->kernel_h; kh++) {
        const int32_t oh = tt_output_row(window, ih, kh);
        for (uint32_t kw = 0; oh >= 0 && kw < window->kernel_w; kw++) {
            const int32_t ow = tt_output_column(window, iw, kw);
            if (ow < 0) {
                continue;
            }
            const TT_GRAD *element = g + ((size_t)oh * window->out_w + (size_t)ow) * window->out_c;
            for (size_t o = group * outputs; o < (group + 1) * outputs; o++) {
                const TT_FACTORED factored = TT_FN(tt_factored_, )(element[o], factors, o);
                if (factored == 0) {
                    continue;
                }
                const int8_t *w = segment->weights + ((o * window->kernel_h + kh) * window->kernel_w + kw) * count;
                for (size_t j = 0; j < count; j++) {
                    acc[j] += factored * (TT_FACTORED)w[j];
                }
            }
        }
    }
}

void TT_FN(tt_conv2d_, _grad_input)(const tt_window *window, const tt_segment *segments, size_t segment_count,
                                    const tt_factors *factors, const tt_rescale *rescale, const TT_GRAD *g,
                                    TT_GRAD *dx, void *scratch)
{
    TT_ACC *acc = scratch;
    tt_rounding rounding = TT_FN(tt_rounding_begin_, )(rescale);
    for (uint32_t ih = 0; ih < window->in_h; ih++) {
        for (uint32_t iw = 0; iw < window->in_w; iw++) {
            for (size_t group = 0; group < window->groups; group++, dx += window->in_c / window->groups) {
                for (size_t s = 0; s < segment_count; s++) {
                    const tt_segment *segment = &segments[s];
                    TT_FN(input_sums_, )(window, segment, group, factors, ih, iw, g, acc);
                    for (size_t j = 0; j < segment->count; j++) {
                        const size_t channel = segment->channels == NULL ? j : segment->channels[j];
                        dx[channel] = TT_FN(tt_rounded_, )(acc[j], &rounding);
                    }
                }
            }
        }
    }
    TT_FN(tt_rounding_end_, )(rescale, rounding);
}

/* sums[j] = sum over positions of (x - zero) * G for output channel o at tap (kh, kw); x points to the
 * first channel of the group. s8: at most 66,311 products of 255 * 127, below 2^31; s16 sums in 64 bits.
 * f32 sums run over rows, then columns; a G of 0 adds nothing. */
static void TT_FN(weight_sums_, )(const tt_window *window, size_t o, uint32_t kh, uint32_t kw, int16_t zero,
                                  const int8_t *x, const TT_GRAD *g, TT_SUM *sums)
{
    const size_t count = window->in_c / window->groups;
    for (size_t j = 0; j < count; j++) {
        sums[j] = 0;
    }
    for (uint32_t oh = 0; oh < window->out_h; oh++) {
        const int32_t ih = tt_input_row(window, oh, kh);
        for (uint32_t ow = 0; ih >= 0 && ow < window->out_w; ow++) {
            const int32_t iw = tt_input_column(window, ow, kw);
            const TT_GRAD gradient = g[((size_t)oh * window->out_w + ow) * window->out_c + o];
            if (iw < 0 || gradient == 0) {
                continue;
            }
            const int8_t *element = x + ((size_t)ih * window->in_w + (size_t)iw) * window->in_c;
            for (size_t j = 0; j < count; j++) {
                sums[j] += (TT_FACTORED)(element[j] - zero) * gradient;
            }
        }
    }
}

void TT_FN(tt_conv2d_, _grad_weight)(const tt_window *window, const tt_update *update, const tt_step *step,
                                     int8_t x_zero, const int8_t *x, const TT_GRAD *g, tt_trained *trained,
                                     void *scratch)
{
    TT_SUM *sums = scratch;
    const size_t count = window->in_c / window->groups;
    tt_sgd sgd = tt_sgd_begin(update, step);
    size_t index = 0;
    for (size_t o = 0; o < window->out_c; o++) {
        const size_t group = o / (window->out_c / window->groups);
        TT_FN(tt_sgd_channel_, )(&sgd, update, step, o);
        for (uint32_t kh = 0; kh < window->kernel_h; kh++) {
            for (uint32_t kw = 0; kw < window->kernel_w; kw++) {
                TT_FN(weight_sums_, )(window, o, kh, kw, x_zero, x + group * count, g, sums);
                for (size_t j = 0; j < count; j++) {
                    tt_apply(trained, index++, TT_FN(tt_delta_, )(&sgd, sums[j]));
                }
            }
        }
    }
}
