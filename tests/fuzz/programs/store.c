/* A store on flash whose content somebody wrote: opened, read, committed to, rolled back, erased,
 * with callbacks that fail. No access leaves the slots; what a commit says is there is there. */
#include "input.h"
#include "tt_kernels.h"
#include "tt_store.h"

enum { MOST = 1 << 14, UNITS = 6 };

static uint8_t bytes[MOST];
static tt_store_slot slots[4];
static uint8_t page[512];
static tt_store_medium medium;
static uint32_t fails_after; /* operations */

static int fails(void)
{
    fails_after -= fails_after > 0;
    return fails_after == 0;
}

static int is_within(uint32_t address, size_t size)
{
    for (uint32_t i = 0; i < medium.slot_count; i++) {
        const uint32_t offset = address - slots[i].address;
        if (offset <= slots[i].size && size <= slots[i].size - offset) {
            return 1;
        }
    }
    return 0;
}

static int read_bytes(void *context, uint32_t address, void *data, size_t size)
{
    (void)context;
    HOLDS(is_within(address, size));
    memcpy(data, bytes + address, size);
    return fails();
}

static int program_bytes(void *context, uint32_t address, const void *data, size_t size)
{
    (void)context;
    HOLDS(is_within(address, size));
    HOLDS(medium.program_unit == 0 || address % medium.program_unit == 0);
    if (fails()) {
        return -1;
    }
    memcpy(bytes + address, data, size);
    return 0;
}

static int erase_bytes(void *context, uint32_t address, size_t size)
{
    (void)context;
    HOLDS(is_within(address, size));
    if (fails()) {
        return -1;
    }
    memset(bytes + address, 0xff, size);
    return 0;
}

/* A medium with any members; one that is refused is not used. */
static void take_medium(input *in)
{
    static const uint32_t units[UNITS] = {0, 1, 4, 32, 256, 512};
    const uint8_t how = take_u8(in);
    medium = (tt_store_medium){.read = read_bytes, .program = program_bytes, .slots = slots};
    medium.erase = how & 1U ? erase_bytes : NULL;
    medium.slot_count = 2U + (how >> 1) % 3U;
    medium.program_unit = units[take_u8(in) % UNITS];
    medium.erase_unit = how & 8U ? 1024 : 0;
    medium.page = page;
    for (uint32_t i = 0; i < medium.slot_count; i++) {
        slots[i] = (tt_store_slot){i * (MOST / 4), how & 16U && i == 1 ? MOST / 8 : MOST / 4};
    }
    if (how & 32U) { /* odd sizes, slots that lie in each other */
        slots[1].size = take_u16(in);
        slots[1].address = take_u16(in);
        if (slots[1].address > MOST || slots[1].size > MOST - slots[1].address) {
            slots[1] = (tt_store_slot){MOST / 4, MOST / 4};
        }
    }
}

/* What a slot holds: rubbish, or a mark around anything, whose checksums may be right. */
static void take_slot(input *in, uint32_t slot)
{
    const uint32_t unit = medium.program_unit, least = TT_STORE_LEAST_PAGE;
    const uint32_t at = slots[slot].address, size = slots[slot].size;
    const uint32_t first = unit > least ? unit : least;
    const uint8_t how = take_u8(in);
    if (how & 1U || size < 2 * first) {
        take_many(in, bytes + at, size < 64 ? size : 64);
        return;
    }
    uint32_t mark[5] = {0x31535454U, take_u32(in), take_u16(in), 0, 0};
    if (how & 2U) {
        mark[2] = take_u32(in);
    }
    take_many(in, bytes + at + first, size - first < 64 ? size - first : 64);
    if (mark[2] <= size - first) {
        mark[3] = tt_crc32(0, bytes + at + first, mark[2]);
    }
    mark[4] = tt_crc32(0, mark, 16) ^ (how & 4U);
    memcpy(bytes + at, mark, sizeof mark);
}

static tt_store store;

static void commit(input *in)
{
    static uint8_t made[MOST], found[MOST];
    uint32_t size = 0;
    tt_store_begin(&store);
    for (uint8_t parts = take_u8(in) % 8U; parts > 0; parts--) {
        const uint32_t part = take_u16(in) % 600U;
        if (part > MOST - size) {
            break;
        }
        take_many(in, made + size, part);
        tt_store_write(&store, made + size, part);
        size += part;
    }
    if (tt_store_commit(&store) == TT_OK && fails_after != 0) {
        HOLDS(tt_store_size(&store) == size);
        const uint32_t kept = fails_after;
        fails_after = UINT32_MAX;
        HOLDS(tt_store_read(&store, 0, found, size) == 0 && memcmp(found, made, size) == 0);
        fails_after = kept;
    }
}

static void operate(input *in)
{
    uint8_t some[64];
    switch (take_u8(in) % 9U) {
    case 0:
        tt_store_open(&store, &medium);
        break;
    case 1: {
        const size_t offset = take_u32(in), size = take_u8(in) % sizeof some;
        if (tt_store_read(&store, offset, some, size) == 0) {
            HOLDS(offset + size <= tt_store_size(&store));
        }
        break;
    }
    case 2:
        tt_store_older(&store);
        break;
    case 3:
        tt_store_begin(&store);
        break;
    case 4:
        take(in, some, sizeof some);
        tt_store_write(&store, some, take_u8(in) % sizeof some);
        break;
    case 5:
        tt_store_commit(&store);
        break;
    case 6:
        tt_store_roll_back(&store);
        break;
    case 7:
        if (tt_store_erase(&store) == TT_OK) {
            HOLDS(tt_store_size(&store) == 0);
        }
        break;
    default:
        commit(in);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    memset(bytes, 0xff, sizeof bytes);
    take_medium(&in);
    fails_after = take_u8(&in);
    fails_after = fails_after < 128 ? UINT32_MAX : fails_after - 127U;
    for (uint32_t i = 0; i < medium.slot_count; i++) {
        take_slot(&in, i);
    }
    if (tt_store_open(&store, &medium) == TT_ERROR_FORMAT) {
        return 0;
    }
    for (int i = 0; i < 32 && in.left > 0; i++) {
        operate(&in);
    }
    return 0;
}
