#include "tt_state.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "saved files are memory images, little endian");

enum { CHUNK = 32 };

/* The kinds of a file: tt_region.is_samples of its regions; in format 1 it had them all. */
enum { LEARNED, SAMPLES, FORMAT_1 };

static int is_in(const tt_region *region, uint32_t kind)
{
    return kind == FORMAT_1 || region->is_samples == kind;
}

static tt_scale *scales_of(const tt_model *model, void *state)
{
    return (tt_scale *)(void *)((uint8_t *)state + model->scales_offset);
}

static void reset_regions(const tt_model *model, uint8_t *bytes, uint32_t kind)
{
    for (size_t i = 0; i < model->region_count; i++) {
        const tt_region *region = &model->regions[i];
        if (!is_in(region, kind)) {
            continue;
        }
        if (region->initial != NULL) {
            memcpy(bytes + region->offset, region->initial, region->size);
        } else {
            memset(bytes + region->offset, 0, region->size);
        }
    }
}

/* All that the file of what was learned holds, and what belongs to the firmware beside it. */
static void reset_learned(const tt_model *model, void *state)
{
    tt_step *step = state;
    reset_regions(model, state, LEARNED);
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

int tt_state_is_ready(const tt_step *step)
{
    return step->rate_mantissa != 0 || step->rate_exponent != 0;
}

void tt_state_wipe(void *state, size_t size)
{
    volatile uint8_t *bytes = state;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = 0;
    }
}

void tt_state_init(const tt_model *model, void *state)
{
    if ((uintptr_t)state % TT_STATE_ALIGNMENT != 0) {
        tt_state_wipe(state, sizeof(tt_step)); /* byte by byte: a core may fault otherwise */
        return;
    }
    reset_regions(model, state, SAMPLES);
    reset_learned(model, state);
}

static uint32_t regions_size(const tt_model *model, uint32_t kind)
{
    uint32_t size = 0;
    for (size_t i = 0; i < model->region_count; i++) {
        size += is_in(&model->regions[i], kind) ? model->regions[i].size : 0U;
    }
    return size;
}

static uint32_t payload_size(const tt_model *model, uint32_t kind)
{
    const size_t training = model->scale_count * sizeof(tt_saved_scale) + sizeof(tt_saved_step);
    return regions_size(model, kind) + (kind == SAMPLES ? 0U : (uint32_t)training);
}

static void make_header(const tt_model *model, uint32_t kind, tt_saved_header *header)
{
    memcpy(header->magic, kind == SAMPLES ? TT_SAMPLES_MAGIC : TT_FILE_MAGIC, sizeof header->magic);
    header->format = kind == FORMAT_1 ? 1U : TT_FILE_FORMAT;
    memcpy(header->model_hash, model->hash, sizeof header->model_hash);
    header->payload_size = payload_size(model, kind);
    header->weights_size = kind == SAMPLES ? 0U : model->weights_size;
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

/* The header and the regions. */
static int put_regions(const tt_model *model, const uint8_t *bytes, uint32_t kind, sink *out)
{
    tt_saved_header header;
    make_header(model, kind, &header);
    int failed = put(out, &header, sizeof header);
    for (size_t i = 0; failed == 0 && i < model->region_count; i++) {
        const tt_region *region = &model->regions[i];
        if (is_in(region, kind)) {
            failed = put(out, bytes + region->offset, region->size);
        }
    }
    return failed;
}

static tt_status put_end(const sink *out)
{
    const tt_saved_end end = {out->crc};
    return out->write(out->context, &end, sizeof end) == 0 ? TT_OK : TT_ERROR_IO;
}

tt_status tt_state_save(const tt_model *model, const void *state, tt_write_fn write, void *context)
{
    const uint8_t *bytes = state;
    const tt_step *step = state;
    sink out = {write, context, 0};
    if (!tt_state_is_ready(step)) {
        return TT_ERROR_STATE;
    }
    if (put_regions(model, bytes, LEARNED, &out) != 0) {
        return TT_ERROR_IO;
    }
    for (size_t i = 0; i < model->scale_count; i++) {
        const tt_scale *scale = (const tt_scale *)(const void *)(bytes + model->scales_offset) + i;
        const tt_saved_scale saved = {scale->exponent, scale->running_max};
        if (put(&out, &saved, sizeof saved) != 0) {
            return TT_ERROR_IO;
        }
    }
    const tt_saved_step saved = {step->rate, model->rate, step->count};
    return put(&out, &saved, sizeof saved) == 0 ? put_end(&out) : TT_ERROR_IO;
}

tt_status tt_state_save_samples(const tt_model *model, const void *state, tt_write_fn write,
                                void *context)
{
    sink out = {write, context, 0};
    if (!tt_state_is_ready(state)) {
        return TT_ERROR_STATE;
    }
    return put_regions(model, state, SAMPLES, &out) == 0 ? put_end(&out) : TT_ERROR_IO;
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

/* A header of another kind counts as one of another format. */
static tt_status compare_header(const tt_model *model, uint32_t kind, const tt_saved_header *found)
{
    tt_saved_header expected;
    make_header(model, kind, &expected);
    if (memcmp(found->magic, expected.magic, sizeof found->magic) != 0 ||
        found->format != expected.format) {
        return TT_ERROR_FORMAT;
    }
    if (memcmp(found->model_hash, expected.model_hash, sizeof found->model_hash) != 0) {
        return TT_ERROR_MODEL;
    }
    return found->payload_size == expected.payload_size &&
                   found->weights_size == expected.weights_size
               ? TT_OK
               : TT_ERROR_FORMAT;
}

/* Where samples are asked for, what was learned is passed over if it comes first. */
static tt_status take_header(const tt_model *model, uint32_t kind, source *in)
{
    tt_saved_header found;
    if (take(in, &found, sizeof found) != 0) {
        return TT_ERROR_IO;
    }
    if (kind == SAMPLES && memcmp(found.magic, TT_FILE_MAGIC, sizeof found.magic) == 0) {
        const tt_status status = compare_header(model, LEARNED, &found);
        if (status != TT_OK) {
            return status;
        }
        in->offset += found.payload_size + sizeof(tt_saved_end);
        in->crc = 0;
        if (take(in, &found, sizeof found) != 0) {
            return TT_ERROR_IO;
        }
    }
    return compare_header(model, kind, &found);
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

static int is_rate(float rate)
{
    return rate >= 0.0F && rate <= 1024.0F;
}

/* The rate is the firmware's: that which the application has set, or the compiled one times what
 * the device had made of it. */
static float loaded_rate(const tt_model *model, float now, const tt_saved_step *saved)
{
    float rate = now;
    if (now == model->rate) {
        if (saved->compiled_rate == model->rate) {
            rate = saved->rate; /* exactly, where a quotient would be rounded */
        } else if (saved->compiled_rate > 0.0F) {
            rate = model->rate * (saved->rate / saved->compiled_rate);
        }
    }
    return rate >= 0.0F && rate < model->rate_limit ? rate : model->rate_limit;
}

/* What follows the regions, CRC included; into `scales` and `step` unless they are NULL. A file
 * that was made to pass the CRC, and holds what no step could have led to, counts as damaged
 * too. */
static tt_status take_training(const tt_model *model, uint32_t kind, source *in, tt_scale *scales,
                               tt_step *step)
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
    if (kind == FORMAT_1) {
        found.compiled_rate = 0.0F; /* it holds a seed there, and nobody knows the factor */
    }
    if (!sound || !is_rate(found.rate) || !is_rate(found.compiled_rate)) {
        return TT_ERROR_CRC;
    }
    if (step != NULL) {
        step->count = found.count;
        tt_set_rate(step, loaded_rate(model, step->rate, &found));
    }
    return TT_OK;
}

/* A file without its header is read and thrown away. */
static tt_status check_payload(const tt_model *model, uint32_t kind, source *in)
{
    uint32_t left = regions_size(model, kind);
    while (left > 0) {
        uint8_t chunk[CHUNK];
        const uint32_t size = left < CHUNK ? left : CHUNK;
        if (take(in, chunk, size) != 0) {
            return TT_ERROR_IO;
        }
        left -= size;
    }
    return kind == SAMPLES ? take_crc(in) : take_training(model, kind, in, NULL, NULL);
}

static tt_status check(const tt_model *model, uint32_t kind, tt_read_fn read, void *context)
{
    source in = {read, context, 0, 0};
    const tt_status status = take_header(model, kind, &in);
    return status == TT_OK ? check_payload(model, kind, &in) : status;
}

tt_status tt_state_check(const tt_model *model, tt_read_fn read, void *context)
{
    return check(model, LEARNED, read, context);
}

static tt_status take_payload(const tt_model *model, void *state, uint32_t kind, source *in)
{
    uint8_t *bytes = state;
    for (size_t i = 0; i < model->region_count; i++) {
        const tt_region *region = &model->regions[i];
        if (is_in(region, kind) && take(in, bytes + region->offset, region->size) != 0) {
            return TT_ERROR_IO;
        }
    }
    return kind == SAMPLES ? take_crc(in)
                           : take_training(model, kind, in, scales_of(model, state), state);
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

static tt_status load(const tt_model *model, void *state, uint32_t kind, tt_read_fn read,
                      void *context)
{
    tt_status status =
        tt_state_is_ready(state) ? check(model, kind, read, context) : TT_ERROR_STATE;
    if (status != TT_OK) {
        return status;
    }
    source in = {read, context, 0, 0};
    status = take_header(model, kind, &in);
    if (status != TT_OK) {
        return status;
    }
    /* Straight into the state, as there is no memory for a second copy. */
    return take_payload(model, state, kind, &in) == TT_OK ? TT_OK : TT_ERROR_RESET;
}

tt_status tt_state_load(const tt_model *model, void *state, tt_read_fn read, void *context)
{
    const tt_status status = load(model, state, LEARNED, read, context);
    if (status == TT_OK) {
        clamp_biases(model, state);
    } else if (status == TT_ERROR_RESET) {
        reset_learned(model, state);
    }
    return status;
}

tt_status tt_state_load_old(const tt_model *model, void *state, tt_read_fn read, void *context)
{
    const tt_status status = load(model, state, FORMAT_1, read, context);
    if (status == TT_OK) {
        clamp_biases(model, state);
    } else if (status == TT_ERROR_RESET) {
        tt_state_init(model, state);
    }
    return status;
}

tt_status tt_state_load_samples(const tt_model *model, void *state, tt_read_fn read, void *context)
{
    const tt_status status = load(model, state, SAMPLES, read, context);
    if (status == TT_ERROR_RESET) {
        reset_regions(model, state, SAMPLES);
    }
    return status;
}
