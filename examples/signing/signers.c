#include "signers.h"

#include <string.h>

/* --- BLAKE2b with a key ---------------------------------------------------------------------- */

static int mac_begin(void *context)
{
    mac *with = context;
    crypto_blake2b_keyed_init(&with->hash, MAC_TAG_SIZE, with->key, MAC_KEY_SIZE);
    return 0;
}

static int mac_update(void *context, const void *data, size_t size)
{
    mac *with = context;
    crypto_blake2b_update(&with->hash, data, size);
    return 0;
}

static int mac_sign(void *context, uint8_t *tag)
{
    mac *with = context;
    crypto_blake2b_final(&with->hash, tag);
    return 0;
}

static int mac_verify(void *context, const uint8_t *tag)
{
    mac *with = context;
    uint8_t expected[MAC_TAG_SIZE];
    crypto_blake2b_final(&with->hash, expected);
    const int is_wrong = crypto_verify16(expected, tag);
    crypto_wipe(expected, sizeof expected);
    return is_wrong;
}

tt_signer mac_signer(mac *with, const uint8_t key[MAC_KEY_SIZE])
{
    with->key = key;
    return (tt_signer){.begin = mac_begin,
                       .update = mac_update,
                       .sign = mac_sign,
                       .verify = mac_verify,
                       .context = with,
                       .tag = with->tag,
                       .tag_size = MAC_TAG_SIZE};
}

/* --- Ed25519 --------------------------------------------------------------------------------- */

static int ed25519_begin(void *context)
{
    ed25519 *with = context;
    crypto_sha512_init(&with->hash);
    return 0;
}

static int ed25519_update(void *context, const void *data, size_t size)
{
    ed25519 *with = context;
    crypto_sha512_update(&with->hash, data, size);
    return 0;
}

/* What a COSE_Sign1 message signs (RFC 9052, section 4.4) with the header {1: -8}, no external data
 * and a payload of 64 bytes: an array of "Signature1", the header, nothing, the payload. */
static const uint8_t PREFIX[] = {0x84, 0x6a, 'S',  'i',  'g',  'n',  'a',  't',  'u', 'r',
                                 'e',  '1',  0x43, 0xa1, 0x01, 0x27, 0x40, 0x58, 0x40};

static int ed25519_verify(void *context, const uint8_t *tag)
{
    ed25519 *with = context;
    uint8_t message[sizeof PREFIX + 64];
    memcpy(message, PREFIX, sizeof PREFIX);
    uint8_t *const hash = message + sizeof PREFIX;
    crypto_sha512_final(&with->hash, hash);
    /* A file is read several times, and verified each time: the same bytes by their hash alone. */
    if (with->is_known && memcmp(hash, with->right_hash, 64) == 0 &&
        memcmp(tag, with->right_tag, ED25519_TAG_SIZE) == 0) {
        return 0;
    }
    if (crypto_ed25519_check(tag, with->key, message, sizeof message) != 0) {
        return -1;
    }
    memcpy(with->right_hash, hash, 64);
    memcpy(with->right_tag, tag, ED25519_TAG_SIZE);
    with->is_known = 1;
    return 0;
}

tt_signer ed25519_signer(ed25519 *with, const uint8_t public_key[ED25519_KEY_SIZE])
{
    with->key = public_key;
    with->is_known = 0;
    return (tt_signer){.begin = ed25519_begin,
                       .update = ed25519_update,
                       .verify = ed25519_verify,
                       .context = with,
                       .tag = with->tag,
                       .tag_size = ED25519_TAG_SIZE};
}
