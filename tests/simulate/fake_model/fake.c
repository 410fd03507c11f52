/* All arithmetic is in integers, so that reference.py agrees to the bit: output = W x / 256, and
 * W changes by rate * (target - output) * x / 2^16 (regression, targets in 1 / 256) or by
 * rate * x, toward the label and away from a wrong prediction (the perceptron's rule). */
#include "fake.h"

#include <string.h>

#define WEIGHTS_SIZE ((uint32_t)sizeof((fake_state *)0)->weights)
#define PAYLOAD_SIZE (WEIGHTS_SIZE + 4U)

struct header {
    char magic[4];
    uint32_t format;
    uint8_t model_hash[32];
    uint32_t payload_size;
    uint32_t weights_size;
};

static const struct header expected = {
    {'T', 'T', 'R', 'N'}, 2, {'f', 'a', 'k', 'e', FAKE_CLASSES}, PAYLOAD_SIZE, WEIGHTS_SIZE};

void fake_init(fake_state *state)
{
    memset(state, 0, sizeof *state);
    state->rate = 16;
}

int8_t *fake_input(fake_state *state)
{
    return state->input;
}

static int32_t forward(fake_state *state)
{
    int32_t best = 0;
    for (int o = 0; o < FAKE_OUTPUT_SIZE; o++) {
        int32_t sum = 0; /* below 2^31 while weights stay below 2^18 */
        for (int i = 0; i < FAKE_INPUT_SIZE; i++) {
            sum += state->weights[o][i] * state->input[i];
        }
        state->output[o] = sum / 256;
        if (state->output[o] > state->output[best]) {
            best = o;
        }
    }
    return best;
}

static void update(fake_state *state, int32_t o, int32_t step)
{
    for (int i = 0; i < FAKE_INPUT_SIZE; i++) {
        state->weights[o][i] += step * state->input[i] / 256;
    }
}

tt_status fake_infer(fake_state *state, float *output, int32_t *prediction)
{
    const int32_t best = forward(state);
    if (output != NULL) {
        for (int o = 0; o < FAKE_OUTPUT_SIZE; o++) {
            output[o] = (float)state->output[o] / 256.0F;
        }
    }
    if (prediction != NULL) {
        *prediction = best;
    }
    /* The interface lets a call overwrite the input, so this one does. */
    memset(state->input, 0x55, sizeof state->input);
    return TT_OK;
}

/* Half the steps' loss, so that nobody takes one for the other. */
#if FAKE_CLASSES
tt_status fake_evaluate(fake_state *state, int32_t label, tt_result *result)
{
    const int32_t best = forward(state);
    result->loss = (float)(state->output[best] - state->output[label]) / 512.0F;
    result->prediction = best;
    memset(state->input, 0x55, sizeof state->input);
    return TT_OK;
}
#else
tt_status fake_evaluate(fake_state *state, const float *target, tt_result *result)
{
    int32_t squares = 0;
    (void)forward(state);
    for (int o = 0; o < FAKE_OUTPUT_SIZE; o++) {
        const int32_t error = (int32_t)(target[o] * 256.0F) - state->output[o];
        squares += error * error / 256;
    }
    result->loss = (float)squares / 512.0F;
    result->prediction = 0;
    memset(state->input, 0x55, sizeof state->input);
    return TT_OK;
}
#endif

#if FAKE_CLASSES
tt_status fake_train_step(fake_state *state, int32_t label, tt_result *result)
{
    if (label < 0 || label >= FAKE_CLASSES) {
        return TT_ERROR_LABEL;
    }
    const int32_t best = forward(state);
    result->loss = (float)(state->output[best] - state->output[label]) / 256.0F;
    result->prediction = best;
    if (best != label) {
        update(state, label, 16 * state->rate);
        update(state, best, -16 * state->rate);
    }
    memset(state->input, 0x55, sizeof state->input);
    return TT_OK;
}
#else
tt_status fake_train_step(fake_state *state, const float *target, tt_result *result)
{
    int32_t squares = 0;
    (void)forward(state);
    for (int o = 0; o < FAKE_OUTPUT_SIZE; o++) {
        const int32_t error = (int32_t)(target[o] * 256.0F) - state->output[o];
        squares += error * error / 256;
        update(state, o, error * state->rate / 256);
    }
    result->loss = (float)squares / 256.0F;
    memset(state->input, 0x55, sizeof state->input);
    return TT_OK;
}
#endif

tt_status fake_set_learning_rate(fake_state *state, float rate)
{
    if (!(rate > 0.0F && rate <= 1.0F)) {
        return TT_ERROR_RATE;
    }
    state->rate = (int32_t)(rate * 256.0F);
    return TT_OK;
}

static uint32_t crc32(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (0xEDB88320U & (0U - (crc & 1U)));
        }
    }
    return crc;
}

tt_status fake_save(const fake_state *state, tt_write_fn write, void *context)
{
    uint32_t crc = crc32(~0U, &expected, sizeof expected);
    crc = crc32(crc, state->weights, sizeof state->weights);
    crc = ~crc32(crc, &state->rate, sizeof state->rate);
    if (write(context, &expected, sizeof expected) != 0 ||
        write(context, state->weights, sizeof state->weights) != 0 ||
        write(context, &state->rate, sizeof state->rate) != 0 ||
        write(context, &crc, sizeof crc) != 0) {
        return TT_ERROR_IO;
    }
    return TT_OK;
}

tt_status fake_load(fake_state *state, tt_read_fn read, void *context)
{
    struct header header;
    uint32_t stored;
    if (read(context, 0, &header, sizeof header) != 0) {
        return TT_ERROR_IO;
    }
    if (memcmp(header.magic, expected.magic, 4) != 0 || header.format != 2U) {
        return TT_ERROR_FORMAT;
    }
    if (memcmp(&header, &expected, sizeof header) != 0) {
        return TT_ERROR_MODEL;
    }
    const size_t rate = sizeof header + sizeof state->weights;
    if (read(context, sizeof header, state->weights, sizeof state->weights) != 0 ||
        read(context, rate, &state->rate, sizeof state->rate) != 0 ||
        read(context, rate + sizeof state->rate, &stored, sizeof stored) != 0) {
        return TT_ERROR_IO;
    }
    uint32_t crc = crc32(~0U, &header, sizeof header);
    crc = crc32(crc, state->weights, sizeof state->weights);
    crc = ~crc32(crc, &state->rate, sizeof state->rate);
    return crc == stored ? TT_OK : TT_ERROR_CRC;
}
