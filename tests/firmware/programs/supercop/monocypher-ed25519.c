#include "monocypher-ed25519.h"

#include <string.h>

int crypto_hashblocks(unsigned char *state, const unsigned char *in, unsigned long long size);
int crypto_sign_open(unsigned char *m, unsigned long long *m_size, const unsigned char *sm,
                     unsigned long long sm_size, const unsigned char *pk);

void crypto_sha512_init(crypto_sha512_ctx *ctx)
{
    static const uint64_t initial[8] = {
        0x6a09e667f3bcc908U, 0xbb67ae8584caa73bU, 0x3c6ef372fe94f82bU, 0xa54ff53a5f1d36f1U,
        0x510e527fade682d1U, 0x9b05688c2b3e6c1fU, 0x1f83d9abfb41bd6bU, 0x5be0cd19137e2179U,
    };
    for (int i = 0; i < 64; i++) {
        ctx->state[i] = (uint8_t)(initial[i / 8] >> (56 - 8 * (i % 8)));
    }
    ctx->size = 0;
}

void crypto_sha512_update(crypto_sha512_ctx *ctx, const uint8_t *message, size_t message_size)
{
    for (size_t i = 0; i < message_size; i++) {
        ctx->block[ctx->size++ % sizeof ctx->block] = message[i];
        if (ctx->size % sizeof ctx->block == 0) {
            crypto_hashblocks(ctx->state, ctx->block, sizeof ctx->block);
        }
    }
}

void crypto_sha512_final(crypto_sha512_ctx *ctx, uint8_t hash[64])
{
    const uint64_t bits = 8 * ctx->size;
    const uint8_t end = 0x80, zero = 0;
    crypto_sha512_update(ctx, &end, 1);
    while (ctx->size % sizeof ctx->block != 112) {
        crypto_sha512_update(ctx, &zero, 1);
    }
    for (int i = 0; i < 8; i++) { /* the size has 16 bytes */
        crypto_sha512_update(ctx, &zero, 1);
    }
    for (int i = 56; i >= 0; i -= 8) {
        const uint8_t byte = (uint8_t)(bits >> i);
        crypto_sha512_update(ctx, &byte, 1);
    }
    memcpy(hash, ctx->state, 64);
}

int crypto_ed25519_check(const uint8_t signature[64], const uint8_t public_key[32],
                         const uint8_t *message, size_t message_size)
{
    unsigned char given[256], found[256];
    unsigned long long size;
    if (message_size > sizeof given - 64) {
        return -1;
    }
    memcpy(given, signature, 64);
    memcpy(given + 64, message, message_size);
    return crypto_sign_open(found, &size, given, 64 + message_size, public_key);
}
