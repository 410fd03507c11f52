/* What the examples call of Monocypher's optional/monocypher-ed25519.h, which the Python package
 * that carries Monocypher leaves out: here by the reference code of the package ed25519. */
#ifndef MONOCYPHER_ED25519_H
#define MONOCYPHER_ED25519_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t state[64];
    uint8_t block[128];
    uint64_t size; /* bytes so far */
} crypto_sha512_ctx;

void crypto_sha512_init(crypto_sha512_ctx *ctx);
void crypto_sha512_update(crypto_sha512_ctx *ctx, const uint8_t *message, size_t message_size);
void crypto_sha512_final(crypto_sha512_ctx *ctx, uint8_t hash[64]);

/* 0: the signature is right. */
int crypto_ed25519_check(const uint8_t signature[64], const uint8_t public_key[32],
                         const uint8_t *message, size_t message_size);

#endif
