/* Gradients of tt_depthwise_conv2d.c, for one dtype. */

/* acc[i] += what tap (kh, kw) brings to `inputs` input channels from entry k of the list on; each is
 * read by `multiple` successive entries. element points to the output position. */
static void TT_FN(tap_gradient_, )(size_t area, size_t tap, size_t multiple, const int8_t *weights,
                                   const uint16_t *outputs, size_t k, size_t inputs, const tt_factors *factors,
                                   const TT_GRAD *element, TT_ACC *acc)
{
    for (size_t i = 0; i < inputs; i++) {
        for (size_t m = 0; m < multiple; m++, k++) {
            const size_t o = listed(outputs, k);
            const TT_FACTORED factored = TT_FN(tt_factored_, )(element[o], factors, o);
            acc[i] += factored * (TT_FACTORED)weights[k * area + tap];
        }
    }
}

/* |acc| <= 2^30 by the choice of the factors. f32 sums run over kh, kw, o. */
static void TT_FN(input_block_, )(const tt_window *window, const int8_t *weights, const uint16_t *outputs, size_t k,
                                  size_t inputs, const tt_factors *factors, uint32_t ih, uint32_t iw,
                                  const TT_GRAD *g, TT_ACC *acc)
{
    const size_t area = (size_t)window->kernel_h * window->kernel_w;
    const size_t multiple = window->out_c / window->in_c;
    for (uint32_t kh = 0; kh < window->kernel_h; kh++) {
        const int32_t oh = tt_output_row(window, ih, kh);
        for (uint32_t kw = 0; oh >= 0 && kw < window->kernel_w; kw++) {
            const int32_t ow = tt_output_column(window, iw, kw);
            if (ow >= 0) {
                const TT_GRAD *element = g + ((size_t)oh * window->out_w + (size_t)ow) * window->out_c;
                TT_FN(tap_gradient_, )(area, (size_t)kh * window->kernel_w + kw, multiple, weights, outputs, k, inputs,
                                       factors, element, acc);
            }
        }
    }
}

void TT_FN(tt_depthwise_conv2d_, _grad_input)(const tt_window *window, const int8_t *weights, const uint16_t *outputs,
                                              size_t count, const tt_factors *factors, const tt_rescale *rescale,
                                              const TT_GRAD *g, TT_GRAD *dx, void *scratch)
{
    (void)scratch;
    const size_t multiple = window->out_c / window->in_c;
    const size_t inputs = count / multiple;
    tt_rounding rounding = TT_FN(tt_rounding_begin_, )(rescale);
    for (uint32_t ih = 0; ih < window->in_h; ih++) {
        for (uint32_t iw = 0; iw < window->in_w; iw++, dx += window->in_c) {
            for (size_t first = 0; first < inputs; first += TT_CHANNEL_BLOCK) {
                const size_t left = inputs - first;
                const size_t block = left < TT_CHANNEL_BLOCK ? left : TT_CHANNEL_BLOCK;
                TT_ACC acc[TT_CHANNEL_BLOCK] = {0};
                TT_FN(input_block_, )(window, weights, outputs, first * multiple, block, factors, ih, iw, g, acc);
                for (size_t i = 0; i < block; i++) {
                    const size_t channel = listed(outputs, (first + i) * multiple) / multiple;
                    dx[channel] = TT_FN(tt_rounded_, )(acc[i], &rounding);
                }
            }
        }
    }
    TT_FN(tt_rounding_end_, )(rescale, rounding);
}

/* Sum over positions of (x - zero) * G at tap (kh, kw); x and g point to their channels. Bounds and order
 * as in tt_conv2d_grad.inc.h. */
static TT_SUM TT_FN(tap_weight_sum_, )(const tt_window *window, uint32_t kh, uint32_t kw, int16_t zero,
                                       const int8_t *x, const TT_GRAD *g)
{
    TT_SUM sum = 0;
    for (uint32_t oh = 0; oh < window->out_h; oh++) {
        const int32_t ih = tt_input_row(window, oh, kh);
        for (uint32_t ow = 0; ih >= 0 && ow < window->out_w; ow++) {
            const int32_t iw = tt_input_column(window, ow, kw);
            if (iw >= 0) {
                const int8_t element = x[((size_t)ih * window->in_w + (size_t)iw) * window->in_c];
                sum += (TT_FACTORED)(element - zero) * g[((size_t)oh * window->out_w + ow) * window->out_c];
            }
        }
    }
    return sum;
}

void TT_FN(tt_depthwise_conv2d_, _grad_weight)(const tt_window *window, const tt_update *update, const tt_step *step,
                                               int8_t x_zero, const int8_t *x, const TT_GRAD *g, tt_trained *trained,
                                               void *scratch)
{
    (void)scratch;
    const size_t multiple = window->out_c / window->in_c;
    tt_sgd sgd = tt_sgd_begin(update, step);
    size_t index = 0;
    for (size_t o = 0; o < window->out_c; o++) {
        TT_FN(tt_sgd_channel_, )(&sgd, update, step, o);
        for (uint32_t kh = 0; kh < window->kernel_h; kh++) {
            for (uint32_t kw = 0; kw < window->kernel_w; kw++) {
                const TT_SUM sum = TT_FN(tap_weight_sum_, )(window, kh, kw, x_zero, x + o / multiple, g + o);
                tt_apply(trained, index++, TT_FN(tt_delta_, )(&sgd, sum));
            }
        }
    }
}
