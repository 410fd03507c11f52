/* Slots of a replay buffer outside of the state, behind callbacks. */
#include "tt_kernels.h"
#include "tt_replay.h"

tt_status tt_replay_flash_write(const tt_replay_slot *layout, uint32_t slot, const void *target,
                                const uint8_t *arena, tt_write_slot_fn write, void *context)
{
    uint32_t crc = tt_crc32(tt_crc32(0, layout->hash, 32), target, layout->target_size);
    size_t at = layout->target_size;
    if (write(context, slot, 0, target, at) != 0) {
        return TT_ERROR_IO;
    }
    for (size_t i = 0; i < layout->span_count; i++) {
        const tt_replay_span span = layout->spans[i];
        crc = tt_crc32(crc, arena + span.offset, span.size);
        if (write(context, slot, at, arena + span.offset, span.size) != 0) {
            return TT_ERROR_IO;
        }
        at += span.size;
    }
    return write(context, slot, at, &crc, sizeof crc) == 0 ? TT_OK : TT_ERROR_IO;
}

tt_status tt_replay_flash_erase(uint32_t slot_count, size_t slot_bytes, tt_write_slot_fn write,
                                void *context)
{
    static const uint8_t zeros[32] = {0};
    tt_status status = TT_OK;
    for (uint32_t slot = 0; slot < slot_count; slot++) {
        for (size_t at = 0; at < slot_bytes;) {
            const size_t left = slot_bytes - at;
            const size_t size = left < sizeof zeros ? left : sizeof zeros;
            if (write(context, slot, at, zeros, size) != 0) {
                status = TT_ERROR_IO;
                break;
            }
            at += size;
        }
    }
    return status;
}

tt_status tt_replay_flash_read(const tt_replay_slot *layout, uint32_t slot, void *target,
                               uint8_t *arena, tt_read_slot_fn read, void *context)
{
    size_t at = layout->target_size;
    if (read(context, slot, 0, target, at) != 0) {
        return TT_ERROR_IO;
    }
    uint32_t crc = tt_crc32(tt_crc32(0, layout->hash, 32), target, at);
    for (size_t i = 0; i < layout->span_count; i++) {
        const tt_replay_span span = layout->spans[i];
        if (read(context, slot, at, arena + span.offset, span.size) != 0) {
            return TT_ERROR_IO;
        }
        crc = tt_crc32(crc, arena + span.offset, span.size);
        at += span.size;
    }
    uint32_t found;
    if (read(context, slot, at, &found, sizeof found) != 0) {
        return TT_ERROR_IO;
    }
    return found == crc ? TT_OK : TT_ERROR_CRC;
}
