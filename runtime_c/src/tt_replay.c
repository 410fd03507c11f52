/* Which sample of a stream is kept, and which is trained on again: docs/arithmetic.md section 8. */
#include "tt_replay.h"

#include <string.h>

#include "tt_sgd.h"

/* In [0, count): number `draws` of the generator, 1 being the first. */
static uint32_t draw(const tt_replay_buffer *buffer, uint32_t draws, uint32_t count)
{
    const uint32_t random = tt_mix(tt_mix(buffer->seed ^ 0x7265706CU) + draws * 0x9E3779B9U);
    return (uint32_t)((uint64_t)random * count >> 32);
}

/* Counts anew what each class holds, so that nothing below depends on what a file said. Returns the
 * slots in use. */
static uint32_t count_slots(const tt_replay_buffer *buffer)
{
    if (buffer->replay->filled > buffer->slot_count) {
        buffer->replay->filled = buffer->slot_count;
    }
    const uint32_t filled = buffer->replay->filled;
    for (uint32_t i = 0; i < buffer->class_count; i++) {
        buffer->classes[i].held = 0;
    }
    for (uint32_t i = 0; i < filled; i++) {
        if (buffer->labels[i] >= buffer->class_count) {
            buffer->labels[i] = 0;
        }
        buffer->classes[buffer->labels[i]].held++;
    }
    return filled;
}

static uint16_t largest_held(const tt_replay_buffer *buffer)
{
    uint16_t largest = 0;
    for (uint32_t i = 0; i < buffer->class_count; i++) {
        if (buffer->classes[i].held > largest) {
            largest = buffer->classes[i].held;
        }
    }
    return largest;
}

/* The slot of sample `number` of a class that holds more than `number`. */
static uint32_t slot_of(const tt_replay_buffer *buffer, uint32_t label, uint32_t number)
{
    uint32_t slot = 0;
    while (buffer->labels[slot] != label || number-- > 0) {
        slot++;
    }
    return slot;
}

static uint32_t seen_with_this_one(const tt_replay_class *class)
{
    return class->seen == UINT32_MAX ? UINT32_MAX : class->seen + 1U;
}

tt_replay_choice tt_replay_choose(const tt_replay_buffer *buffer, uint32_t label)
{
    const uint32_t filled = count_slots(buffer);
    tt_replay_choice choice = {filled, buffer->replay->draws};
    if (filled < buffer->slot_count) {
        return choice;
    }
    const uint16_t largest = largest_held(buffer);
    const tt_replay_class *const own = &buffer->classes[label];
    choice.draws++;
    if (own->is_full || own->held == largest) {
        /* A reservoir of its own: kept with probability held / seen. */
        const uint32_t number = draw(buffer, choice.draws, seen_with_this_one(own));
        choice.slot = number < own->held ? slot_of(buffer, label, number) : buffer->slot_count;
        return choice;
    }
    uint32_t other = 0;
    while (buffer->classes[other].held != largest) {
        other++;
    }
    choice.slot = slot_of(buffer, other, draw(buffer, choice.draws, largest));
    return choice;
}

void tt_replay_commit(const tt_replay_buffer *buffer, tt_replay_choice choice, uint32_t label)
{
    tt_replay *const replay = buffer->replay;
    replay->draws = choice.draws;
    buffer->classes[label].seen = seen_with_this_one(&buffer->classes[label]);
    if (choice.slot < buffer->slot_count) {
        if (choice.slot == replay->filled) {
            replay->filled++;
        } else {
            buffer->classes[buffer->labels[choice.slot]].held--;
        }
        buffer->labels[choice.slot] = (uint16_t)label;
        buffer->classes[label].held++;
    }
    if (replay->filled < buffer->slot_count) {
        return;
    }
    const uint16_t largest = largest_held(buffer);
    for (uint32_t i = 0; i < buffer->class_count; i++) {
        if (buffer->classes[i].held == largest) {
            buffer->classes[i].is_full = 1;
        }
    }
}

uint32_t tt_replay_draw(const tt_replay_buffer *buffer)
{
    const uint32_t filled = count_slots(buffer);
    return filled == 0 ? buffer->slot_count : draw(buffer, ++buffer->replay->draws, filled);
}

void tt_replay_clear(const tt_replay_buffer *buffer)
{
    buffer->replay->filled = 0;
    memset(buffer->classes, 0, buffer->class_count * sizeof *buffer->classes);
    memset(buffer->labels, 0, buffer->slot_count * sizeof *buffer->labels);
}
