#include "tt_state.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "saved files are memory images, little endian");

enum { HEADER_SIZE = 48, CHUNK = 32 };

static const uint8_t magic[4] = {'T', 'T', 'R', 'N'};

static tt_scale *scales_of(const tt_model *model, void *state)
{
    return (tt_scale *)(void *)((uint8_t *)state + model->scales_offset);
}

void tt_state_init(const tt_model *model, void *state)
{
    uint8_t *bytes = state;
    tt_step *step = state;
    for (size_t i = 0; i < model->region_count; i++) {
        const tt_region *region = &model->regions[i];
        if (region->initial != NULL) {
            memcpy(bytes + region->offset, region->initial, region->size);
        } else {
            memset(bytes + region->offset, 0, region->size);
        }
    }
    if (model->scale_count > 0) {
        tt_scale *scales = scales_of(model, state);
        for (size_t i = 0; i < model->scale_count; i++) {
            scales[i].exponent = model->initial_scales[i].exponent;
            scales[i].running_max = model->initial_scales[i].running_max;
            scales[i].peak = 0;
        }
    }
    tt_set_rate(step, model->rate);
    step->normaliser = 0;
    step->seed = model->seed;
    step->count = 0;
}

static uint32_t regions_size(const tt_model *model)
{
    uint32_t size = 0;
    for (size_t i = 0; i < model->region_count; i++) {
        size += model->regions[i].size;
    }
    return size;
}

static uint32_t payload_size(const tt_model *model)
{
    return regions_size(model) + (uint32_t)model->scale_count * 8U + 12U;
}

static void make_header(const tt_model *model, uint8_t header[HEADER_SIZE])
{
    const uint32_t format = TT_FILE_FORMAT;
    const uint32_t size = payload_size(model);
    memcpy(header, magic, 4);
    memcpy(header + 4, &format, 4);
    memcpy(header + 8, model->hash, 32);
    memcpy(header + 40, &size, 4);
    memcpy(header + 44, &model->weights_size, 4);
}

/* A write callback and the CRC of what went through it. */
typedef struct {
    tt_write_fn write;
    void *context;
    uint32_t crc;
} sink;

static int put(sink *out, const void *data, size_t size)
{
    out->crc = tt_crc32(out->crc, data, size);
    return out->write(out->context, data, size);
}

tt_status tt_state_save(const tt_model *model, const void *state, tt_write_fn write, void *context)
{
    const uint8_t *bytes = state;
    const tt_step *step = state;
    sink out = {write, context, 0};
    uint8_t header[HEADER_SIZE];
    make_header(model, header);
    if (put(&out, header, HEADER_SIZE) != 0) {
        return TT_ERROR_IO;
    }
    for (size_t i = 0; i < model->region_count; i++) {
        if (put(&out, bytes + model->regions[i].offset, model->regions[i].size) != 0) {
            return TT_ERROR_IO;
        }
    }
    for (size_t i = 0; i < model->scale_count; i++) {
        const tt_scale *scale = (const tt_scale *)(const void *)(bytes + model->scales_offset) + i;
        uint8_t pair[8];
        memcpy(pair, &scale->exponent, 4);
        memcpy(pair + 4, &scale->running_max, 4);
        if (put(&out, pair, sizeof pair) != 0) {
            return TT_ERROR_IO;
        }
    }
    uint8_t tail[12];
    memcpy(tail, &step->rate, 4);
    memcpy(tail + 4, &step->seed, 4);
    memcpy(tail + 8, &step->count, 4);
    if (put(&out, tail, sizeof tail) != 0) {
        return TT_ERROR_IO;
    }
    const uint32_t crc = out.crc;
    return write(context, &crc, sizeof crc) == 0 ? TT_OK : TT_ERROR_IO;
}

/* A read callback and the CRC of what came through it. */
typedef struct {
    tt_read_fn read;
    void *context;
    uint32_t crc;
} source;

static int take(source *in, void *data, size_t size)
{
    if (in->read(in->context, data, size) != 0) {
        return 1;
    }
    in->crc = tt_crc32(in->crc, data, size);
    return 0;
}

static tt_status take_header(const tt_model *model, source *in)
{
    uint8_t found[HEADER_SIZE];
    uint8_t expected[HEADER_SIZE];
    if (take(in, found, HEADER_SIZE) != 0) {
        return TT_ERROR_IO;
    }
    make_header(model, expected);
    if (memcmp(found, expected, 8) != 0) {
        return TT_ERROR_FORMAT;
    }
    if (memcmp(found + 8, expected + 8, 32) != 0) {
        return TT_ERROR_MODEL;
    }
    return memcmp(found + 40, expected + 40, 8) == 0 ? TT_OK : TT_ERROR_FORMAT;
}

static tt_status take_crc(source *in)
{
    const uint32_t expected = in->crc;
    uint32_t found;
    if (in->read(in->context, &found, sizeof found) != 0) {
        return TT_ERROR_IO;
    }
    return found == expected ? TT_OK : TT_ERROR_CRC;
}

/* The ranges that tt_scales_end keeps to; one far outside would keep its loops turning for
 * minutes. */
static int is_scale(int32_t exponent, uint32_t running_max)
{
    return exponent >= -60 && exponent <= 60 && running_max <= 1U << 28;
}

/* What follows the regions, CRC included; into `scales` and `step` unless they are NULL. A file
 * that was made to pass the CRC, and holds what no step could have led to, counts as damaged
 * too. */
static tt_status take_training(const tt_model *model, source *in, tt_scale *scales, tt_step *step)
{
    int sound = 1;
    for (size_t i = 0; i < model->scale_count; i++) {
        uint8_t pair[8];
        tt_scale found = {0, 0, 0};
        if (take(in, pair, sizeof pair) != 0) {
            return TT_ERROR_IO;
        }
        memcpy(&found.exponent, pair, 4);
        memcpy(&found.running_max, pair + 4, 4);
        sound = sound && is_scale(found.exponent, found.running_max);
        if (scales != NULL) {
            scales[i] = found;
        }
    }
    uint8_t tail[12];
    if (take(in, tail, sizeof tail) != 0) {
        return TT_ERROR_IO;
    }
    const tt_status status = take_crc(in);
    if (status != TT_OK) {
        return status;
    }
    float rate;
    memcpy(&rate, tail, 4);
    if (!sound || !(rate >= 0.0f && rate <= 1024.0f)) {
        return TT_ERROR_CRC;
    }
    if (step != NULL) {
        memcpy(&step->seed, tail + 4, 4);
        memcpy(&step->count, tail + 8, 4);
        tt_set_rate(step, rate);
    }
    return TT_OK;
}

tt_status tt_state_check(const tt_model *model, tt_read_fn read, void *context)
{
    source in = {read, context, 0};
    const tt_status status = take_header(model, &in);
    if (status != TT_OK) {
        return status;
    }
    uint32_t left = regions_size(model);
    while (left > 0) {
        uint8_t chunk[CHUNK];
        const uint32_t size = left < CHUNK ? left : CHUNK;
        if (take(&in, chunk, size) != 0) {
            return TT_ERROR_IO;
        }
        left -= size;
    }
    return take_training(model, &in, NULL, NULL);
}

static tt_status take_payload(const tt_model *model, void *state, source *in)
{
    uint8_t *bytes = state;
    for (size_t i = 0; i < model->region_count; i++) {
        if (take(in, bytes + model->regions[i].offset, model->regions[i].size) != 0) {
            return TT_ERROR_IO;
        }
    }
    return take_training(model, in, scales_of(model, state), state);
}

/* No update leaves +-2^30, but a file made by hand may: accumulators rely on it. */
static void clamp_biases(const tt_model *model, void *state)
{
    const int32_t limit = INT32_C(1) << 30;
    for (size_t i = 0; i < model->region_count; i++) {
        const tt_region *region = &model->regions[i];
        uint8_t *bytes = (uint8_t *)state + region->offset;
        for (uint32_t k = 0; region->is_bias && k < region->size; k += 4) {
            int32_t bias;
            memcpy(&bias, bytes + k, 4);
            bias = bias > limit ? limit : bias < -limit ? -limit : bias;
            memcpy(bytes + k, &bias, 4);
        }
    }
}

tt_status tt_state_load(const tt_model *model, void *state, tt_read_fn read, void *context)
{
    source in = {read, context, 0};
    tt_status status = take_header(model, &in);
    if (status != TT_OK) {
        return status;
    }
    status = take_payload(model, state, &in);
    if (status != TT_OK) {
        tt_state_init(model, state);
        return status;
    }
    clamp_biases(model, state);
    return TT_OK;
}
