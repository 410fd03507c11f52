/* Two signers for tt_signed.h, by Monocypher (https://monocypher.org, version 4): its
 * monocypher.c for both, and optional/monocypher-ed25519.c for the second. */
#ifndef SIGNERS_H
#define SIGNERS_H

#include "monocypher-ed25519.h"
#include "monocypher.h"
#include "tt_signed.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MAC_KEY_SIZE 32
#define MAC_TAG_SIZE 16
#define ED25519_KEY_SIZE 32
#define ED25519_TAG_SIZE 64

/* A MAC, for what a device writes for itself: BLAKE2b with a key that only this device has. */
typedef struct {
    const uint8_t *key; /* [MAC_KEY_SIZE] */
    crypto_blake2b_ctx hash;
    uint8_t tag[MAC_TAG_SIZE];
} mac;

/* mac: stays with the caller. It signs and verifies. */
tt_signer mac_signer(mac *with, const uint8_t key[MAC_KEY_SIZE]);

/* A signature, for what others send to a device: Ed25519 as `tinytrain sign` makes it. The device
 * has the public key alone, so that nothing in it is worth stealing. */
typedef struct {
    const uint8_t *key; /* [ED25519_KEY_SIZE], the public one */
    crypto_sha512_ctx hash;
    uint8_t tag[ED25519_TAG_SIZE];
    uint8_t right_hash[64], right_tag[ED25519_TAG_SIZE]; /* that were verified last */
    uint8_t is_known;                                    /* whether there are such */
} ed25519;

/* It only verifies. */
tt_signer ed25519_signer(ed25519 *with, const uint8_t public_key[ED25519_KEY_SIZE]);

#ifdef __cplusplus
}
#endif

#endif
