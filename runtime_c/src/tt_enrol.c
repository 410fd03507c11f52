/* Codes, means and examples of classes, and the nearest of them: docs/arithmetic.md, "Enrolled
 * classes". */
#include "tt_enrol.h"

#include <string.h>

#include "tt_requantize.h"

enum { FULL_WINDOW = 256 };

void tt_enrol_code(const tt_enrol_map *map, const int8_t *x, int8_t *code)
{
    const int8_t *row = map->matrix;
    for (size_t k = 0; k < map->codes; k++, row += map->features) {
        int32_t sum = map->bias[k];
        for (size_t i = 0; i < map->features; i++) {
            sum += row[i] * x[i];
        }
        code[k] = tt_requantize_s8(&map->requant, k, sum);
    }
}

/* value / count, a tie away from 0. Requires |value| <= 65,535 and 1 <= count <= FULL_WINDOW. */
static int32_t rounded_share(int32_t value, int32_t count)
{
    const int32_t half = count / 2;
    return (value < 0 ? value - half : value + half) / count;
}

void tt_means_add(const tt_enrol_means *means, uint32_t label, const int8_t *code)
{
    int16_t *const mean = means->means + label * means->codes;
    uint16_t *const count = &means->counts[label];
    *count = (uint16_t)(*count + (*count < UINT16_MAX));
    const int32_t window = *count < FULL_WINDOW ? *count : FULL_WINDOW;
    for (size_t i = 0; i < means->codes; i++) {
        /* Two s16 differ by at most 65,535, and a rounded share of the difference is no longer than
         * it: the mean stays between what it was and the sample. */
        mean[i] = (int16_t)(mean[i] + rounded_share(code[i] * 256 - mean[i], window));
    }
}

void tt_means_forget(const tt_enrol_means *means, uint32_t label)
{
    memset(means->means + label * means->codes, 0, means->codes * sizeof *means->means);
    means->counts[label] = 0;
}

void tt_examples_add(const tt_enrol_examples *examples, uint32_t label, const int8_t *code)
{
    const tt_replay_choice choice = tt_replay_choose(&examples->buffer, label);
    if (choice.slot < examples->buffer.slot_count) {
        memcpy(examples->samples + choice.slot * examples->codes, code, examples->codes);
    }
    tt_replay_commit(&examples->buffer, choice, label);
}

/* Slots in use, whatever a saved file said. */
static uint32_t kept(const tt_replay *replay, uint32_t slot_count)
{
    return replay->filled < slot_count ? replay->filled : slot_count;
}

/* The class of a slot in use, likewise: a label that is no class counts as class 0. */
static uint32_t class_of(const uint16_t *labels, uint32_t slot, uint32_t class_count)
{
    return labels[slot] < class_count ? labels[slot] : 0;
}

uint32_t tt_examples_count(const tt_replay *replay, const uint16_t *labels, uint32_t slot_count,
                           uint32_t class_count, uint32_t label)
{
    uint32_t count = 0;
    for (uint32_t slot = kept(replay, slot_count); slot-- > 0;) {
        count += class_of(labels, slot, class_count) == label;
    }
    return count;
}

void tt_examples_forget(const tt_enrol_examples *examples, uint32_t label)
{
    const size_t codes = examples->codes;
    uint16_t *const labels = examples->buffer.labels;
    uint32_t filled = kept(examples->buffer.replay, examples->buffer.slot_count);
    for (uint32_t slot = 0; slot < filled;) {
        if (class_of(labels, slot, examples->buffer.class_count) != label) {
            slot++;
            continue;
        }
        filled--;
        int8_t *const last = examples->samples + filled * codes;
        memmove(examples->samples + slot * codes, last, codes);
        memset(last, 0, codes);
        labels[slot] = labels[filled];
        labels[filled] = 0;
    }
    examples->buffer.replay->filled = filled;
    memset(&examples->buffer.classes[label], 0, sizeof *examples->buffer.classes);
}

void tt_search_begin(tt_search *search, uint32_t neighbours)
{
    search->neighbours = neighbours;
    search->found = 0;
    search->other = TT_NOTHING_ELSE;
}

static void meet(tt_search *search, uint32_t distance, int32_t label)
{
    if (search->found > 0 && label != search->labels[0]) {
        if (distance < search->distances[0]) {
            search->other = search->distances[0];
        } else if (distance < search->other) {
            search->other = distance;
        }
    }
    uint32_t at = search->found;
    if (at == search->neighbours) {
        if (distance >= search->distances[--at]) {
            return;
        }
    } else {
        search->found++;
    }
    for (; at > 0 && distance < search->distances[at - 1]; at--) {
        search->distances[at] = search->distances[at - 1];
        search->labels[at] = search->labels[at - 1];
    }
    search->distances[at] = distance;
    search->labels[at] = label;
}

static uint32_t distance_of(const int8_t *a, const int8_t *b, size_t codes)
{
    uint32_t distance = 0;
    for (size_t i = 0; i < codes; i++) {
        const int32_t difference = a[i] - b[i];
        distance += (uint32_t)(difference * difference);
    }
    return distance;
}

void tt_search_codes(tt_search *search, const int8_t *code, size_t codes, const int8_t *known,
                     const uint16_t *labels, size_t count)
{
    for (size_t n = 0; n < count; n++, known += codes) {
        meet(search, distance_of(code, known, codes), labels[n]);
    }
}

void tt_search_examples(tt_search *search, const int8_t *code, const tt_enrol_examples *examples)
{
    const tt_replay_buffer *const buffer = &examples->buffer;
    const int8_t *known = examples->samples;
    const uint32_t filled = kept(buffer->replay, buffer->slot_count);
    for (uint32_t slot = 0; slot < filled; slot++, known += examples->codes) {
        const uint32_t label = class_of(buffer->labels, slot, buffer->class_count);
        meet(search, distance_of(code, known, examples->codes), (int32_t)label);
    }
}

void tt_search_means(tt_search *search, const int8_t *code, const tt_enrol_means *means)
{
    const int16_t *mean = means->means;
    for (uint32_t label = 0; label < means->class_count; label++, mean += means->codes) {
        if (means->counts[label] == 0) {
            continue;
        }
        uint32_t distance = 0;
        for (size_t i = 0; i < means->codes; i++) {
            /* At most 256: the mean of an edited file may round to 128. */
            const int32_t difference = code[i] - ((mean[i] + 128) >> 8);
            distance += (uint32_t)(difference * difference);
        }
        meet(search, distance, (int32_t)label);
    }
}

tt_status tt_search_end(const tt_search *search, tt_enrol_result *result)
{
    if (search->found == 0) {
        return TT_ERROR_EMPTY;
    }
    uint32_t winner = 0;
    uint32_t most = 0;
    for (uint32_t i = 0; i < search->found; i++) {
        uint32_t votes = 0;
        for (uint32_t j = i; j < search->found; j++) {
            votes += search->labels[j] == search->labels[i];
        }
        if (votes > most) {
            most = votes;
            winner = i;
        }
    }
    result->label = search->labels[winner];
    result->distance = search->distances[winner];
    result->other = result->label == search->labels[0] ? search->other : search->distances[0];
    return TT_OK;
}
