#include "tt_self_test.h"

uint32_t tt_self_test_fill(uint32_t random, int32_t divisor, size_t size, int8_t *out)
{
    for (size_t i = 0; i < size; i++) {
        random = random * 1664525U + 1013904223U;
        out[i] = (int8_t)(((int32_t)(random >> 24) - 128) / divisor);
    }
    return random;
}

uint32_t tt_self_test_crc(uint32_t crc, const tt_model *model, const void *state)
{
    const uint8_t *bytes = state;
    uint32_t left = model->weights_size;
    for (size_t i = 0; left > 0; i++) {
        crc = tt_crc32(crc, bytes + model->regions[i].offset, model->regions[i].size);
        left -= model->regions[i].size;
    }
    const tt_scale *scales = (const tt_scale *)(const void *)(bytes + model->scales_offset);
    for (size_t i = 0; i < model->scale_count; i++) {
        const tt_saved_scale saved = {scales[i].exponent, scales[i].running_max};
        crc = tt_crc32(crc, &saved, sizeof saved);
    }
    const tt_step *step = state;
    crc = tt_crc32(crc, &step->rate, sizeof step->rate);
    crc = tt_crc32(crc, &step->seed, sizeof step->seed);
    return tt_crc32(crc, &step->count, sizeof step->count);
}
