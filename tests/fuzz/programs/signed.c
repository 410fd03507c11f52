/* Signed files on memory that somebody wrote, and that may answer otherwise at any time: reads of
 * any place in any order. What was read of a file whose end was found authentic is what was signed.
 * The tag is a CRC under a secret beginning: nothing to sign with, and enough to be hit by no
 * accident. */
#include "input.h"
#include "tt_kernels.h"
#include "tt_signed.h"

enum { MOST = 256, TAG = 4, MARK = 8 };

static uint8_t content[MOST], bytes[MOST + MARK + TAG + 16];
static uint8_t is_got[MOST];
static size_t size;       /* of `bytes` */
static uint32_t calls;    /* of the read callback */
static uint32_t lies_at;  /* the call that answers otherwise */
static uint32_t fails_at; /* the call that fails */
static size_t room;       /* of what is written */
static uint32_t crc;

static int begin(void *context)
{
    (void)context;
    crc = 0x5ec2e7U;
    return 0;
}

static int update(void *context, const void *data, size_t count)
{
    (void)context;
    crc = tt_crc32(crc, data, count);
    return 0;
}

static int sign(void *context, uint8_t *tag)
{
    (void)context;
    memcpy(tag, &crc, TAG);
    return 0;
}

static int verify(void *context, const uint8_t *tag)
{
    (void)context;
    return memcmp(tag, &crc, TAG);
}

static int write_bytes(void *context, const void *data, size_t count)
{
    (void)context;
    if (count > room - size) {
        return -1;
    }
    memcpy(bytes + size, data, count);
    size += count;
    return 0;
}

static int read_bytes(void *context, size_t offset, void *data, size_t count)
{
    (void)context;
    HOLDS(offset <= size && count <= size - offset);
    memcpy(data, bytes + offset, count);
    calls++;
    if (calls == lies_at && count > 0) {
        ((uint8_t *)data)[calls % count] ^= 1U;
    }
    return calls == fails_at;
}

static tt_status make(const tt_signer *signer, tt_signed *file, uint32_t counter, size_t length,
                      input *in)
{
    size = 0;
    tt_signed_begin(file, signer, counter, write_bytes, NULL);
    for (size_t at = 0; at < length;) {
        const size_t left = length - at, part = 1U + take_u8(in) % 64U;
        const size_t piece = part < left ? part : left;
        if (tt_signed_write(file, content + at, piece) != 0) {
            break;
        }
        at += piece;
    }
    return tt_signed_end(file);
}

static void read_any(tt_signed *file, size_t length, input *in)
{
    for (int i = 0; i < 32 && in->left > 0; i++) {
        const size_t offset = take_u8(in), count = take_u8(in) % 80U;
        uint8_t some[80];
        if (tt_signed_read(file, offset, some, count) != 0) {
            continue;
        }
        HOLDS(offset + count <= length);
        /* What another read of the same place gives has to be right, too. */
        for (size_t k = 0; k < count; k++) {
            is_got[offset + k] =
                (uint8_t)(is_got[offset + k] == 2 || some[k] != content[offset + k] ? 2 : 1);
        }
    }
    if (tt_signed_close(file) == TT_OK) {
        for (size_t k = 0; k < length; k++) {
            HOLDS(is_got[k] != 2);
        }
    }
    uint8_t one;
    HOLDS(file->status == TT_OK || tt_signed_read(file, 0, &one, 1) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t given)
{
    static uint8_t tag[TAG], whole[sizeof bytes];
    static const tt_signer signer = {begin, update, sign, verify, NULL, tag, TAG};
    input in = {data, given};
    tt_signed file;
    memset(is_got, 0, sizeof is_got);
    memset(bytes, 0, sizeof bytes);
    const size_t length = take_u8(&in);
    const uint32_t counter = take_u32(&in), least = take_u8(&in) & 1U ? counter : take_u32(&in);
    take_many(&in, content, sizeof content);
    const uint8_t cut = take_u8(&in);
    room = cut & 1U ? cut : sizeof bytes;
    const tt_status made = make(&signer, &file, counter, length, &in);
    HOLDS((made == TT_OK) == (room >= length + MARK + TAG));
    const size_t sound = size;
    memcpy(whole, bytes, sizeof whole);
    for (uint8_t changes = take_u8(&in) % 4U; changes > 0; changes--) {
        bytes[take_u16(&in) % sizeof bytes] = take_u8(&in);
    }
    const uint8_t other = take_u8(&in);
    size = other & 1U ? other : size;
    calls = 0;
    lies_at = take_u8(&in);
    fails_at = take_u8(&in);
    const tt_status opened = tt_signed_open(&file, &signer, least, read_bytes, NULL, size);
    if (opened == TT_OK || opened == TT_ERROR_OLD) {
        /* A lie may be the truth, where the memory holds something else. */
        const int lied = lies_at > 0 && lies_at <= calls;
        HOLDS(made == TT_OK && size == sound && (lied || memcmp(whole, bytes, size) == 0));
        HOLDS(file.counter == counter && (opened == TT_OK) == (counter >= least));
    } else {
        HOLDS(opened == TT_ERROR_SIGNATURE || opened == TT_ERROR_IO);
    }
    read_any(&file, opened == TT_OK ? length : 0, &in);
    return 0;
}
