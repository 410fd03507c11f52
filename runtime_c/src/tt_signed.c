#include "tt_signed.h"

#include <string.h>

#include "tt_flags.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "signed files are memory images, little endian");

enum { CHUNK = 32 };

/* What stands between the file and its tag. */
typedef struct {
    uint32_t counter;
    uint8_t magic[4];
} trailer;

static const uint8_t magic[4] = {'T', 'T', 'S', 'G'};

static tt_status begin(const tt_signer *signer)
{
    return signer->begin(signer->context) == 0 ? TT_OK : TT_ERROR_IO;
}

static tt_status update(const tt_signer *signer, const void *data, size_t size)
{
    return signer->update(signer->context, data, size) == 0 ? TT_OK : TT_ERROR_IO;
}

static trailer trailer_of(uint32_t counter)
{
    trailer made = {counter, {0}};
    memcpy(made.magic, magic, sizeof magic);
    return made;
}

/* --- reading --------------------------------------------------------------------------------- */

/* The next bytes of the pass, which begins with the first ones. */
static tt_status take(tt_signed *file, void *data, size_t size)
{
    tt_status status = file->hashed == 0 ? begin(file->signer) : TT_OK;
    if (status == TT_OK && file->read(file->context, file->hashed, data, size) != 0) {
        status = TT_ERROR_IO;
    }
    if (status == TT_OK) {
        status = update(file->signer, data, size);
    }
    file->hashed += size;
    return status;
}

/* Hashes what nobody asked for, up to `end`. */
static tt_status skip(tt_signed *file, size_t end)
{
    tt_status status = TT_OK;
    while (status == TT_OK && file->hashed < end) {
        uint8_t chunk[CHUNK];
        const size_t left = end - file->hashed;
        status = take(file, chunk, left < CHUNK ? left : CHUNK);
    }
    return status;
}

/* The end of a pass, all of whose bytes were taken. */
static tt_status verify(tt_signed *file)
{
    const tt_signer *signer = file->signer;
    const trailer end = trailer_of(file->counter);
    file->hashed = 0;
    const tt_status status = update(signer, &end, sizeof end);
    if (status != TT_OK) {
        return status;
    }
    return signer->verify(signer->context, signer->tag) == 0 ? TT_OK : TT_ERROR_SIGNATURE;
}

static tt_status finish(tt_signed *file)
{
    const tt_status status = skip(file, file->size);
    return status == TT_OK ? verify(file) : status;
}

/* Counter and tag, and the whole file once. */
static tt_status check(tt_signed *file, size_t size)
{
    const tt_signer *signer = file->signer;
    trailer end;
    if (signer->verify == NULL || size < sizeof end || size - sizeof end < signer->tag_size) {
        return TT_ERROR_SIGNATURE;
    }
    file->size = size - sizeof end - signer->tag_size;
    if (file->read(file->context, file->size, &end, sizeof end) != 0 ||
        file->read(file->context, size - signer->tag_size, signer->tag, signer->tag_size) != 0) {
        return TT_ERROR_IO;
    }
    if (memcmp(end.magic, magic, sizeof magic) != 0) {
        return TT_ERROR_SIGNATURE;
    }
    file->counter = end.counter;
    const tt_status status = file->size == 0 ? begin(signer) : TT_OK;
    return status == TT_OK ? finish(file) : status;
}

tt_status tt_signed_open(tt_signed *file, const tt_signer *signer, uint32_t least, tt_read_fn read,
                         void *context, size_t size)
{
    memset(file, 0, sizeof *file);
    file->signer = signer;
    file->read = read;
    file->context = context;
    file->status = check(file, size);
    if (file->status == TT_OK && file->counter < least) {
        file->status = TT_ERROR_OLD;
    }
    return file->status;
}

int tt_signed_read(void *context, size_t offset, void *data, size_t size)
{
    tt_signed *file = context;
    if (file->status != TT_OK || offset > file->size || size > file->size - offset) {
        return -1;
    }
    if (size == 0) {
        return 0;
    }
    if (offset < file->hashed) {
        file->status = finish(file);
    }
    if (file->status == TT_OK) {
        file->status = skip(file, offset);
    }
    if (file->status == TT_OK) {
        file->status = take(file, data, size);
    }
    if (file->status == TT_OK && file->hashed == file->size) {
        file->status = verify(file);
    }
    return file->status == TT_OK ? 0 : -1;
}

tt_status tt_signed_close(tt_signed *file)
{
    if (file->status == TT_OK && file->hashed > 0) {
        file->status = finish(file);
    }
    return file->status;
}

/* --- writing --------------------------------------------------------------------------------- */

void tt_signed_begin(tt_signed *file, const tt_signer *signer, uint32_t counter, tt_write_fn write,
                     void *context)
{
    memset(file, 0, sizeof *file);
    file->signer = signer;
    file->write = write;
    file->context = context;
    file->counter = counter;
    file->status = begin(signer);
}

int tt_signed_write(void *context, const void *data, size_t size)
{
    tt_signed *file = context;
    if (file->status == TT_OK) {
        file->status = update(file->signer, data, size);
    }
    if (file->status == TT_OK && file->write(file->context, data, size) != 0) {
        file->status = TT_ERROR_IO;
    }
    return file->status == TT_OK ? 0 : -1;
}

tt_status tt_signed_end(tt_signed *file)
{
    const tt_signer *signer = file->signer;
    const trailer end = trailer_of(file->counter);
    if (tt_signed_write(file, &end, sizeof end) == 0 &&
        (signer->sign == NULL || signer->sign(signer->context, signer->tag) != 0 ||
         file->write(file->context, signer->tag, signer->tag_size) != 0)) {
        file->status = TT_ERROR_IO;
    }
    return file->status;
}
