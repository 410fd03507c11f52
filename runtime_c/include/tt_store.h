/* A store for what a device has learned: two or more slots in flash, or in any memory that keeps
 * its content, of which the newest whole one counts. Power may fail at any time: what was committed
 * last is there afterwards, or, where the cut fell into a commit, what that one wrote. A commit
 * that failed may count after a reset, too, until the next one.
 *
 *     tt_status status = tt_store_open(&store, &medium);
 *     while (status == TT_OK && NAME_load(&state, tt_store_read, &store) != TT_OK)
 *         status = tt_store_older(&store);
 *     ...
 *     tt_store_begin(&store);
 *     NAME_save(&state, tt_store_write, &store);
 *     tt_store_commit(&store);
 *
 * Commits go round the slots, so that all of them wear alike. Files stream through one page: there
 * is no second copy in RAM. A commit of what is there already writes nothing. docs/store.md has the
 * layout and the reasons.
 */
#ifndef TT_STORE_H
#define TT_STORE_H

#include "tinytrain.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TT_STORE_LEAST_PAGE 32U

/* Where a slot lies: whole erase units that hold nothing else. */
typedef struct {
    uint32_t address; /* of its first byte, as the callbacks get it; a multiple of both units */
    uint32_t size;    /* bytes; a multiple of both units. A file needs two pages more than it has */
} tt_store_slot;

/* The memory, which the caller fills in once. Callbacks return 0, or anything else on failure. */
typedef struct {
    /* Where flash has error correction, what cannot be corrected is a failure, and no fault. */
    int (*read)(void *context, uint32_t address, void *data, size_t size);
    /* address and size are multiples of the program unit; size is that of a page, which may have to
     * be split for an EEPROM. Every byte was erased before, and is programmed once; without `erase`
     * it may be programmed again. */
    int (*program)(void *context, uint32_t address, const void *data, size_t size);
    /* Erases an erase unit, or a slot where that is 0. NULL: memory that needs no erasing, such as
     * FRAM or EEPROM. */
    int (*erase)(void *context, uint32_t address, size_t size);
    void *context;              /* passed to the callbacks; default NULL */
    const tt_store_slot *slots; /* [slot_count]; they may differ in size */
    uint32_t slot_count;        /* 2 to 255; no default */
    uint32_t program_unit;      /* bytes: a power of two, 1 to 512; default 0, which stands for 1 */
    uint32_t erase_unit;        /* bytes: 1 to 262,144; default 0: a slot is erased by one call, for
                                 * instance as several sectors of unequal size */
    uint8_t *page;              /* a program unit, or TT_STORE_LEAST_PAGE bytes if that is more;
                                 * aligned as `program` needs what it programs */
} tt_store_medium;

/* A file in a slot. */
typedef struct {
    uint32_t slot;     /* slot_count: there is none */
    uint32_t sequence; /* of its commit: higher than that of any commit before */
    uint32_t size;     /* bytes */
} tt_store_file;

/* All members are the store's own. */
typedef struct {
    const tt_store_medium *medium;
    tt_store_file newest; /* that counts */
    tt_store_file shown;  /* that tt_store_read reads: the newest, or an older one */
    uint32_t sequence;    /* the highest of any mark, that of a commit that failed included */
    uint8_t has_seen;     /* whether there was one */
    uint8_t is_blind;     /* whether slots could not be read, and no file was found */
    uint8_t is_unsure;    /* whether the memory may hold more than is known here */
    uint8_t is_older;     /* whether tt_store_older went on to the one that is shown */
    uint32_t target;      /* slot that is being written, or is to be written next */
    uint32_t written;     /* bytes of the file that is being written, so far */
    uint32_t crc;         /* of these */
    tt_status status;     /* of the commit under way */
    int stage;            /* of it */
} tt_store;

/* Finds the newest file that is whole, by reading it. TT_ERROR_EMPTY: there is none, and the store
 * is ready for the first. TT_ERROR_IO: there is none in the slots that could be read; commits fail
 * until they can be read, or until tt_store_erase.
 * TT_ERROR_FORMAT: the medium breaks one of its bounds; do not use the store. */
tt_status tt_store_open(tt_store *store, const tt_store_medium *medium);

/* A tt_read_fn, of the newest file, or of the one that tt_store_older went on to. context: the
 * tt_store. */
int tt_store_read(void *context, size_t offset, void *data, size_t size);

/* Bytes of that file; 0 where there is none. */
size_t tt_store_size(const tt_store *store);

/* Goes on to the file before that one, for a device that cannot take the newest, which is another
 * model's, say; nothing is written. The next commit spares the file that was gone on to: until it
 * is whole, a power cut leaves that one. With two slots it overwrites the newest; whoever only
 * wants to look at older files opens the store again before.
 * TT_ERROR_EMPTY: there is none before it that is whole, and commits spare the newest, as ever.
 * TT_ERROR_IO: nor in the slots that could be read. */
tt_status tt_store_older(tt_store *store);

/* Begins a commit. What is read from here on is the file that it spares: the newest, or the one
 * that tt_store_older went on to. A commit that was not finished is forgotten. */
void tt_store_begin(tt_store *store);

/* A tt_write_fn: the next bytes of the file. Fails where the medium does, or the slot is too small;
 * tt_store_commit says which. context: the tt_store. */
int tt_store_write(void *context, const void *data, size_t size);

/* Makes what was written since tt_store_begin count, and reads it back; where nothing was written,
 * that is a file of 0 bytes. Whatever fails, the file before counts on. TT_ERROR_EMPTY: nothing was
 * begun. TT_ERROR_IO: a callback failed, or what was read back differs. TT_ERROR_SPACE:
 * the file does not fit into the slot. */
tt_status tt_store_commit(tt_store *store);

/* Drops the newest file for good, so that the one before counts. TT_ERROR_EMPTY: there is none
 * before it, and nothing changed. TT_ERROR_IO: a callback failed; open the store again. */
tt_status tt_store_roll_back(tt_store *store);

/* Removes all that was ever committed, what power cuts left included, the newest file last. Commit
 * what may stay before: then a power cut leaves that file or nothing. TT_ERROR_IO: a callback
 * failed, and some of it may be there still; call it again. */
tt_status tt_store_erase(tt_store *store);

#ifdef __cplusplus
}
#endif

#endif
