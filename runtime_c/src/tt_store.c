#include "tt_store.h"

#include <string.h>

#include "tt_kernels.h"

/* Stages of a commit: nothing begun; all bytes so far are those of the file that counts; written to
 * the target. */
enum { IDLE, SAME, WRITING };

enum { CHUNK = 32, MOST_SLOTS = 255, MOST_PROGRAM_UNIT = 512, MOST_ERASE_UNIT = 262144 };

/* The first page of a slot, programmed last. */
typedef struct {
    uint8_t magic[4];
    uint32_t sequence; /* of the commit; each has one more than the one before */
    uint32_t size;     /* bytes of the file, which begins with the second page */
    uint32_t crc;      /* of the file */
    uint32_t mark_crc; /* of the members above */
} mark;

_Static_assert(sizeof(mark) <= TT_STORE_LEAST_PAGE, "a mark fits into a page");

static const uint8_t magic[4] = {'T', 'T', 'S', '1'};

static uint32_t program_unit(const tt_store_medium *medium)
{
    return medium->program_unit == 0 ? 1 : medium->program_unit;
}

static uint32_t page_size(const tt_store_medium *medium)
{
    const uint32_t unit = program_unit(medium);
    return unit > TT_STORE_LEAST_PAGE ? unit : TT_STORE_LEAST_PAGE;
}

static int is_sound(const tt_store_medium *medium)
{
    const uint32_t unit = program_unit(medium);
    const uint32_t erased = medium->erase_unit == 0 ? 1 : medium->erase_unit;
    if (medium->slot_count < 2 || medium->slot_count > MOST_SLOTS || unit > MOST_PROGRAM_UNIT ||
        (unit & (unit - 1U)) != 0 || erased > MOST_ERASE_UNIT || medium->page == NULL) {
        return 0;
    }
    for (uint32_t i = 0; i < medium->slot_count; i++) {
        const tt_store_slot *slot = &medium->slots[i];
        if (slot->size < 2U * page_size(medium) || slot->address % unit != 0 ||
            slot->size % unit != 0 || slot->address % erased != 0 || slot->size % erased != 0) {
            return 0;
        }
        for (uint32_t k = 0; k < i; k++) {
            const tt_store_slot *other = &medium->slots[k];
            if (slot->address - other->address < other->size ||
                other->address - slot->address < slot->size) {
                return 0;
            }
        }
    }
    return 1;
}

static uint32_t mark_crc_of(const mark *found)
{
    return tt_crc32(0, found, offsetof(mark, mark_crc));
}

static int read_slot(const tt_store_medium *medium, uint32_t slot, uint32_t offset, void *data,
                     size_t size)
{
    return medium->read(medium->context, medium->slots[slot].address + offset, data, size);
}

/* Sequences wrap around; those in the slots are less than 2^31 apart. */
static int is_newer(uint32_t sequence, uint32_t than)
{
    return (int32_t)(sequence - than) > 0;
}

/* Remembers the highest sequence of any mark, so that none is used twice. */
static void see(tt_store *store, uint32_t sequence)
{
    if (!store->has_seen || is_newer(sequence, store->sequence)) {
        store->sequence = sequence;
        store->has_seen = 1;
    }
}

/* Whether a slot holds a whole file. TT_ERROR_EMPTY: it does not. */
static tt_status look(tt_store *store, uint32_t slot, mark *found)
{
    const tt_store_medium *medium = store->medium;
    const uint32_t page = page_size(medium);
    if (read_slot(medium, slot, 0, found, sizeof *found) != 0) {
        return TT_ERROR_IO;
    }
    if (memcmp(found->magic, magic, sizeof magic) != 0 || found->mark_crc != mark_crc_of(found) ||
        found->size > medium->slots[slot].size - page) {
        return TT_ERROR_EMPTY;
    }
    see(store, found->sequence);
    uint32_t crc = 0;
    for (uint32_t at = 0; at < found->size;) {
        uint8_t chunk[CHUNK];
        const uint32_t left = found->size - at;
        const uint32_t size = left < CHUNK ? left : CHUNK;
        if (read_slot(medium, slot, page + at, chunk, size) != 0) {
            return TT_ERROR_IO;
        }
        crc = tt_crc32(crc, chunk, size);
        at += size;
    }
    return crc == found->crc ? TT_OK : TT_ERROR_EMPTY;
}

static int is_there(const tt_store_medium *medium, const tt_store_file *file)
{
    return file->slot < medium->slot_count;
}

/* Finds the newest whole file, of those older than `limit` unless that is NULL. `file` stays what
 * it was where there is none. */
static tt_status find(tt_store *store, const tt_store_file *limit, tt_store_file *file)
{
    const tt_store_medium *medium = store->medium;
    tt_store_file best = {medium->slot_count, 0, 0};
    tt_status status = TT_ERROR_EMPTY;
    for (uint32_t slot = 0; slot < medium->slot_count; slot++) {
        mark found;
        const tt_status seen = look(store, slot, &found);
        status = seen == TT_ERROR_IO ? TT_ERROR_IO : status;
        if (seen == TT_OK && (limit == NULL || is_newer(limit->sequence, found.sequence)) &&
            (!is_there(medium, &best) || is_newer(found.sequence, best.sequence))) {
            best = (tt_store_file){slot, found.sequence, found.size};
        }
    }
    if (!is_there(medium, &best)) {
        return status;
    }
    *file = best;
    return TT_OK;
}

/* The slot to write after one: the next in the round that does not hold the newest file. */
static uint32_t after(const tt_store *store, uint32_t slot)
{
    const uint32_t count = store->medium->slot_count, next = (slot + 1U) % count;
    return next == store->newest.slot ? (next + 1U) % count : next;
}

static tt_status search(tt_store *store)
{
    const tt_status status = find(store, NULL, &store->newest);
    store->target = status == TT_OK ? after(store, store->newest.slot) : 0;
    store->shown = store->newest;
    store->is_older = 0;
    store->is_blind = status == TT_ERROR_IO;
    return status;
}

tt_status tt_store_open(tt_store *store, const tt_store_medium *medium)
{
    memset(store, 0, sizeof *store);
    store->medium = medium;
    store->stage = IDLE;
    store->newest.slot = medium->slot_count;
    store->shown = store->newest;
    return is_sound(medium) ? search(store) : TT_ERROR_FORMAT;
}

static int read_file(const tt_store *store, const tt_store_file *file, size_t offset, void *data,
                     size_t size)
{
    if (!is_there(store->medium, file) || offset > file->size || size > file->size - offset) {
        return -1;
    }
    const uint32_t page = page_size(store->medium);
    return read_slot(store->medium, file->slot, page + (uint32_t)offset, data, size);
}

int tt_store_read(void *context, size_t offset, void *data, size_t size)
{
    const tt_store *store = context;
    return read_file(store, &store->shown, offset, data, size);
}

size_t tt_store_size(const tt_store *store)
{
    return is_there(store->medium, &store->shown) ? store->shown.size : 0;
}

tt_status tt_store_older(tt_store *store)
{
    const tt_status status = is_there(store->medium, &store->shown)
                                 ? find(store, &store->shown, &store->shown)
                                 : TT_ERROR_EMPTY;
    store->is_older = status == TT_OK;
    return status;
}

/* offset: in the slot. */
static tt_status program_page(const tt_store *store, uint32_t slot, uint32_t offset)
{
    const tt_store_medium *medium = store->medium;
    const uint32_t address = medium->slots[slot].address + offset;
    const int failed =
        medium->program(medium->context, address, medium->page, page_size(medium)) != 0;
    return failed ? TT_ERROR_IO : TT_OK;
}

/* Makes a slot hold no file: of memory that needs no erasing only the mark is overwritten. */
static tt_status clear(const tt_store *store, uint32_t slot)
{
    const tt_store_medium *medium = store->medium;
    const tt_store_slot *of = &medium->slots[slot];
    if (medium->erase == NULL) {
        memset(medium->page, 0, page_size(medium));
        return program_page(store, slot, 0);
    }
    const uint32_t unit = medium->erase_unit == 0 ? of->size : medium->erase_unit;
    for (uint32_t at = 0; at < of->size; at += unit) {
        if (medium->erase(medium->context, of->address + at, unit) != 0) {
            return TT_ERROR_IO;
        }
    }
    return TT_OK;
}

/* The device goes on from an older file: what is committed next takes the place of newer ones, and
 * of the newest only where there are two slots. */
static void go_on(tt_store *store)
{
    const uint32_t passed = store->newest.slot;
    store->newest = store->shown;
    store->target = after(store, passed);
}

void tt_store_begin(tt_store *store)
{
    store->written = 0;
    store->crc = 0;
    /* What could not be read may be newer than anything written now. */
    store->status = store->is_blind && search(store) == TT_ERROR_IO ? TT_ERROR_IO : TT_OK;
    store->stage = SAME;
    if (store->is_older) {
        go_on(store);
    }
    store->is_older = 0;
    store->shown = store->newest;
}

/* The next bytes of the file into the target. */
static tt_status append(tt_store *store, const uint8_t *data, size_t size)
{
    const tt_store_medium *medium = store->medium;
    const uint32_t page = page_size(medium);
    /* Whole pages: what follows the last one is left out where a slot is not a multiple of them. */
    const uint32_t room = (medium->slots[store->target].size / page - 1U) * page;
    if (store->written > room || size > room - store->written) {
        return TT_ERROR_SPACE;
    }
    store->crc = tt_crc32(store->crc, data, size);
    while (size > 0) {
        const uint32_t filled = store->written % page;
        const size_t part = size < page - filled ? size : page - filled;
        memcpy(medium->page + filled, data, part);
        store->written += (uint32_t)part;
        data += part;
        size -= part;
        /* The file begins with the second page: this one ends where `written` says it begins. */
        if (store->written % page == 0 &&
            program_page(store, store->target, store->written) != TT_OK) {
            return TT_ERROR_IO;
        }
    }
    return TT_OK;
}

/* From here on the file differs from the one that counts: what they share is copied. */
static tt_status begin_writing(tt_store *store)
{
    const uint32_t shared = store->written;
    tt_status status = clear(store, store->target);
    for (uint32_t i = 2; status != TT_OK && i < store->medium->slot_count; i++) {
        store->target = after(store, store->target);
        status = clear(store, store->target);
    }
    store->stage = WRITING;
    store->written = 0;
    store->crc = 0;
    while (status == TT_OK && store->written < shared) {
        uint8_t chunk[CHUNK];
        const uint32_t left = shared - store->written;
        const uint32_t size = left < CHUNK ? left : CHUNK;
        status = read_file(store, &store->newest, store->written, chunk, size) != 0
                     ? TT_ERROR_IO
                     : append(store, chunk, size);
    }
    return status;
}

/* Whether the file that counts goes on with these bytes. */
static int goes_on(tt_store *store, const uint8_t *data, size_t size)
{
    if (!is_there(store->medium, &store->newest) || size > store->newest.size - store->written) {
        return 0;
    }
    for (size_t at = 0; at < size;) {
        uint8_t chunk[CHUNK];
        const size_t part = size - at < CHUNK ? size - at : CHUNK;
        if (read_file(store, &store->newest, store->written + at, chunk, part) != 0) {
            store->status = TT_ERROR_IO;
            return 0;
        }
        if (memcmp(chunk, data + at, part) != 0) {
            return 0;
        }
        at += part;
    }
    return 1;
}

int tt_store_write(void *context, const void *data, size_t size)
{
    tt_store *store = context;
    if (store->stage == IDLE) {
        return -1;
    }
    if (store->stage == SAME && store->status == TT_OK) {
        if (goes_on(store, data, size)) {
            store->written += (uint32_t)size;
            return 0;
        }
        store->status = store->status == TT_OK ? begin_writing(store) : store->status;
    }
    if (store->status == TT_OK) {
        store->status = append(store, data, size);
    }
    return store->status == TT_OK ? 0 : -1;
}

/* The rest of the last page, and the mark. */
static tt_status finish(tt_store *store)
{
    const tt_store_medium *medium = store->medium;
    const uint32_t page = page_size(medium), filled = store->written % page;
    if (filled > 0) {
        memset(medium->page + filled, 0xFF, page - filled);
        if (program_page(store, store->target, store->written - filled + page) != TT_OK) {
            return TT_ERROR_IO;
        }
    }
    /* Of this try alone: its mark may be there though the try fails. */
    store->sequence += 1U;
    store->has_seen = 1;
    mark made = {{0}, store->sequence, store->written, store->crc, 0};
    memcpy(made.magic, magic, sizeof magic);
    made.mark_crc = mark_crc_of(&made);
    memset(medium->page, 0xFF, page);
    memcpy(medium->page, &made, sizeof made);
    if (program_page(store, store->target, 0) != TT_OK) {
        return TT_ERROR_IO;
    }
    mark found;
    if (look(store, store->target, &found) != TT_OK || memcmp(&found, &made, sizeof made) != 0) {
        return TT_ERROR_IO;
    }
    store->newest = (tt_store_file){store->target, made.sequence, made.size};
    store->shown = store->newest;
    store->is_older = 0;
    return TT_OK;
}

tt_status tt_store_commit(tt_store *store)
{
    const int stage = store->stage;
    store->stage = IDLE;
    if (stage == IDLE) {
        return TT_ERROR_EMPTY;
    }
    tt_status status = store->status;
    if (stage == SAME && status == TT_OK) {
        if (!store->is_unsure && is_there(store->medium, &store->newest) &&
            store->written == store->newest.size) {
            return TT_OK;
        }
        status = begin_writing(store);
    }
    if (status == TT_OK) {
        status = finish(store);
    }
    store->is_unsure = status != TT_OK;
    /* Of three slots and more the next try leaves out one that failed. */
    store->target = after(store, store->target);
    return status;
}

tt_status tt_store_roll_back(tt_store *store)
{
    const uint32_t dropped = store->newest.slot;
    store->shown = store->newest;
    const tt_status status = tt_store_older(store);
    if (status != TT_OK) {
        return status;
    }
    store->newest = store->shown;
    store->is_older = 0;
    store->target = dropped;
    store->stage = IDLE;
    const tt_status cleared = clear(store, dropped);
    store->is_unsure = cleared != TT_OK;
    return cleared;
}

tt_status tt_store_erase(tt_store *store)
{
    tt_status status = TT_OK;
    const tt_store_medium *medium = store->medium;
    const uint32_t first = is_there(medium, &store->newest) ? store->newest.slot + 1U : 0;
    for (uint32_t i = 0; i < medium->slot_count; i++) {
        /* The newest last: a power cut never brings an older one back. */
        const uint32_t slot = (first + i) % medium->slot_count;
        if (clear(store, slot) != TT_OK) {
            status = TT_ERROR_IO;
        }
        const uint32_t page = page_size(medium), pages = medium->slots[slot].size / page;
        for (uint32_t k = 1; medium->erase == NULL && k < pages; k++) {
            if (program_page(store, slot, k * page) != TT_OK) { /* the zeros of `clear` */
                status = TT_ERROR_IO;
            }
        }
    }
    store->newest = (tt_store_file){medium->slot_count, 0, 0};
    store->shown = store->newest;
    store->is_older = 0;
    store->target = 0;
    store->stage = IDLE;
    store->is_blind = 0;
    store->is_unsure = status != TT_OK;
    return status;
}
