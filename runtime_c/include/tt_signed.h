/* Signed files: a layer around the callbacks of NAME_save and NAME_load, and of a tt_store, that
 * takes a file only if whoever holds the key made it, and only if it is not older than it may be.
 * The cryptography is the caller's: a MAC or a signature behind the callbacks of a tt_signer.
 *
 *     tt_store_begin(&store);
 *     tt_signed_begin(&file, &signer, counter, tt_store_write, &store);
 *     NAME_save(&state, tt_signed_write, &file);
 *     if (tt_signed_end(&file) == TT_OK) { tt_store_commit(&store); }
 *     ...
 *     if (tt_signed_open(&file, &signer, least, tt_store_read, &store, tt_store_size(&store)) ==
 *         TT_OK) { NAME_load(&state, tt_signed_read, &file); }
 *
 * A signed file is the file itself, then its counter (4 bytes, little endian), the letters of
 * TT_SIGNED_MAGIC, and the tag over all bytes before it. docs/signing.md says how to choose keys
 * and counters, and what remains to be trusted. */
#ifndef TT_SIGNED_H
#define TT_SIGNED_H

#include "tinytrain.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TT_SIGNED_MAGIC "TTSG"

/* Signs, verifies, or both. Callbacks return 0, or anything else on failure; bytes come in pieces
 * of any size, and the whole file several times. One tt_signed at a time may use a signer. */
typedef struct {
    int (*begin)(void *context);
    int (*update)(void *context, const void *data, size_t size);
    /* The tag of the bytes since `begin`, tag_size bytes; NULL where files are only verified. */
    int (*sign)(void *context, uint8_t *tag);
    /* 0: the tag is that of the bytes since `begin`. Compare a MAC in constant time. NULL where
     * files are only signed. */
    int (*verify)(void *context, const uint8_t *tag);
    void *context;   /* passed to the callbacks; default NULL */
    uint8_t *tag;    /* [tag_size]; keep it as long as a tt_signed uses the signer */
    size_t tag_size; /* bytes of a tag, at least 1: 16 to 32 of a MAC, 64 of Ed25519 */
} tt_signer;

/* All members but the counter are its own. */
typedef struct {
    const tt_signer *signer;
    tt_read_fn read;
    tt_write_fn write;
    void *context;    /* of read or write */
    size_t size;      /* bytes of the file without counter, magic and tag */
    size_t hashed;    /* of these, in the pass that runs */
    uint32_t counter; /* of the file, once it is open */
    tt_status status; /* anything but TT_OK: nothing more is read or written */
} tt_signed;

/* Reads a signed file to its end and verifies it. least: the smallest counter that is accepted.
 * size: bytes of the whole file. TT_ERROR_SIGNATURE: there is no tag, or a wrong one.
 * TT_ERROR_OLD: it is authentic, and its counter is below `least`. TT_ERROR_IO: `read` failed, or
 * begin or update did. After any error tt_signed_read gives nothing. */
tt_status tt_signed_open(tt_signed *file, const tt_signer *signer, uint32_t least, tt_read_fn read,
                         void *context, size_t size);

/* A tt_read_fn, of the file without counter, magic and tag. Each pass over the file is hashed
 * again, and the read that reaches the end fails if the tag is wrong then: where memory answers
 * otherwise than when the file was opened, NAME_load fails, too. context: the tt_signed. */
int tt_signed_read(void *context, size_t offset, void *data, size_t size);

/* Whether all that was read is authentic; reads what is left of a pass that ended early. NAME_load
 * reads a file of what was learned to its end. Where samples stand behind it in the same signed
 * file, or another loader ends early, call this afterwards, and NAME_init unless it is TT_OK.
 * TT_ERROR_SIGNATURE, TT_ERROR_IO: use none of what was read. */
tt_status tt_signed_close(tt_signed *file);

/* Begins a signed file. counter: higher than that of any file that is to be refused from now on. */
void tt_signed_begin(tt_signed *file, const tt_signer *signer, uint32_t counter, tt_write_fn write,
                     void *context);

/* A tt_write_fn: the next bytes of the file. context: the tt_signed. */
int tt_signed_write(void *context, const void *data, size_t size);

/* Writes counter, magic and tag. TT_ERROR_IO: `write` failed, or begin, update or sign did; what
 * was written is no signed file. */
tt_status tt_signed_end(tt_signed *file);

#ifdef __cplusplus
}
#endif

#endif
