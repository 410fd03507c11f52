/* Body of tt_quantize_gradient.c, for one dtype. */

int TT_FN(tt_quantize_gradient_, )(size_t size, const float *g, TT_GRAD *q, int32_t *normaliser_out)
{
    float largest = 0;
    for (size_t i = 0; i < size; i++) {
        const float magnitude = g[i] < 0 ? -g[i] : g[i];
        largest = magnitude > largest ? magnitude : largest;
    }
    const int32_t n = largest > 0 ? TT_FN(normaliser_, )(largest) : 0;
    /* q may be the buffer of g: an element is written where only elements up to it lay, and moved
     * as bytes, so that no compiler takes floats and integers for strangers. */
    for (size_t i = 0; i < size; i++) {
        float value;
        memcpy(&value, (const char *)g + i * sizeof value, sizeof value);
        const TT_GRAD element = TT_FN(entry_, )(value, n);
        memcpy((char *)q + i * sizeof element, &element, sizeof element);
    }
    *normaliser_out = n;
    return largest > 0;
}
