#include "tt_state.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "saved files are memory images, little endian");

enum { CHUNK = 32 };

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
    return regions_size(model) +
           (uint32_t)(model->scale_count * sizeof(tt_saved_scale) + sizeof(tt_saved_step));
}

static void make_header(const tt_model *model, tt_saved_header *header)
{
    memcpy(header->magic, TT_FILE_MAGIC, sizeof header->magic);
    header->format = TT_FILE_FORMAT;
    memcpy(header->model_hash, model->hash, sizeof header->model_hash);
    header->payload_size = payload_size(model);
    header->weights_size = model->weights_size;
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
    tt_saved_header header;
    make_header(model, &header);
    if (put(&out, &header, sizeof header) != 0) {
        return TT_ERROR_IO;
    }
    for (size_t i = 0; i < model->region_count; i++) {
        if (put(&out, bytes + model->regions[i].offset, model->regions[i].size) != 0) {
            return TT_ERROR_IO;
        }
    }
    for (size_t i = 0; i < model->scale_count; i++) {
        const tt_scale *scale = (const tt_scale *)(const void *)(bytes + model->scales_offset) + i;
        const tt_saved_scale saved = {scale->exponent, scale->running_max};
        if (put(&out, &saved, sizeof saved) != 0) {
            return TT_ERROR_IO;
        }
    }
    const tt_saved_step saved = {step->rate, step->seed, step->count};
    if (put(&out, &saved, sizeof saved) != 0) {
        return TT_ERROR_IO;
    }
    const tt_saved_end end = {out.crc};
    return write(context, &end, sizeof end) == 0 ? TT_OK : TT_ERROR_IO;
}

/* A read callback, how far it has read, and the CRC of what came through it. */
typedef struct {
    tt_read_fn read;
    void *context;
    size_t offset;
    uint32_t crc;
} source;

static int take(source *in, void *data, size_t size)
{
    if (in->read(in->context, in->offset, data, size) != 0) {
        return 1;
    }
    in->offset += size;
    in->crc = tt_crc32(in->crc, data, size);
    return 0;
}

static tt_status take_header(const tt_model *model, source *in)
{
    tt_saved_header found;
    tt_saved_header expected;
    if (take(in, &found, sizeof found) != 0) {
        return TT_ERROR_IO;
    }
    make_header(model, &expected);
    if (memcmp(found.magic, expected.magic, sizeof found.magic) != 0 ||
        found.format != expected.format) {
        return TT_ERROR_FORMAT;
    }
    if (memcmp(found.model_hash, expected.model_hash, sizeof found.model_hash) != 0) {
        return TT_ERROR_MODEL;
    }
    return found.payload_size == expected.payload_size &&
                   found.weights_size == expected.weights_size
               ? TT_OK
               : TT_ERROR_FORMAT;
}

static tt_status take_crc(source *in)
{
    const uint32_t expected = in->crc;
    tt_saved_end found;
    if (in->read(in->context, in->offset, &found, sizeof found) != 0) {
        return TT_ERROR_IO;
    }
    return found.crc == expected ? TT_OK : TT_ERROR_CRC;
}

/* The ranges that tt_scales_end keeps to; one far outside would keep its loops turning for
 * minutes. */
static int is_sound(const tt_saved_scale *scale)
{
    return scale->exponent >= -60 && scale->exponent <= 60 && scale->running_max <= 1U << 28;
}

/* What follows the regions, CRC included; into `scales` and `step` unless they are NULL. A file
 * that was made to pass the CRC, and holds what no step could have led to, counts as damaged
 * too. */
static tt_status take_training(const tt_model *model, source *in, tt_scale *scales, tt_step *step)
{
    int sound = 1;
    for (size_t i = 0; i < model->scale_count; i++) {
        tt_saved_scale found;
        if (take(in, &found, sizeof found) != 0) {
            return TT_ERROR_IO;
        }
        sound = sound && is_sound(&found);
        if (scales != NULL) {
            scales[i].exponent = found.exponent;
            scales[i].running_max = found.running_max;
            scales[i].peak = 0;
        }
    }
    tt_saved_step found;
    if (take(in, &found, sizeof found) != 0) {
        return TT_ERROR_IO;
    }
    const tt_status status = take_crc(in);
    if (status != TT_OK) {
        return status;
    }
    if (!sound || !(found.rate >= 0.0f && found.rate <= 1024.0f)) {
        return TT_ERROR_CRC;
    }
    if (step != NULL) {
        step->seed = found.seed;
        step->count = found.count;
        tt_set_rate(step, found.rate < model->rate_limit ? found.rate : model->rate_limit);
    }
    return TT_OK;
}

tt_status tt_state_check(const tt_model *model, tt_read_fn read, void *context)
{
    source in = {read, context, 0, 0};
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
    tt_status status = tt_state_check(model, read, context);
    if (status != TT_OK) {
        return status;
    }
    source in = {read, context, 0, 0};
    status = take_header(model, &in);
    if (status != TT_OK) {
        return status;
    }
    /* Straight into the state, as there is no memory for a second copy. */
    if (take_payload(model, state, &in) != TT_OK) {
        tt_state_init(model, state);
        return TT_ERROR_RESET;
    }
    clamp_biases(model, state);
    return TT_OK;
}
