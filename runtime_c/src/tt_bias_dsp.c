/* Gradient of a bias, with the update, on a core with DSP instructions: four channels a word. */
#include "tt_gradient.h"
#include "tt_lanes_dsp.h"
#include "tt_sgd.h"

#if defined(__ARM_FEATURE_SIMD32)

/* Positions whose sum of |G| <= 127 fits 16 bits. */
#define SHORT_SUM 256U

/* Sums of four neighbouring channels; g points to the first of them. */
__attribute__((noinline)) static void sum4(size_t positions, size_t step, const int8_t *g, int32_t sums[4])
{
    for (size_t k = 0; k < 4; k++) {
        sums[k] = 0;
    }
    while (positions > 0) {
        const size_t some = positions < SHORT_SUM ? positions : SHORT_SUM;
        tt_quad sum = {0, 0};
        for (size_t position = 0; position < some; position++, g += step) {
            const uint32_t word = tt_word_at(g);
            sum.even = __sxtab16(sum.even, (int8x4_t)word);
            __asm__("sxtab16 %0, %0, %1, ror #8" : "+r"(sum.odd) : "r"(word));
        }
        sums[0] += (int16_t)sum.even;
        sums[1] += (int16_t)sum.odd;
        sums[2] += sum.even >> 16;
        sums[3] += sum.odd >> 16;
        positions -= some;
    }
}

void tt_bias_s8_grad_dsp(size_t positions, size_t channels, const tt_update *update, const tt_step *step,
                         const int8_t *g, int32_t *bias)
{
    tt_sgd sgd = tt_sgd_begin(update, step);
    for (size_t o = 0; o < channels;) {
        const size_t count = channels - o < 4 ? 1 : 4;
        int32_t sums[4] = {0};
        if (count == 4) {
            sum4(positions, channels, g + o, sums);
        } else {
            for (size_t i = o; i < positions * channels; i += channels) {
                sums[0] += g[i];
            }
        }
        for (size_t k = 0; k < count; k++, o++) {
            tt_sgd_channel_s8(&sgd, update, step, o);
            bias[o] = tt_apply_bias(bias[o], tt_delta_s8(&sgd, sums[k]));
        }
    }
}

#endif
