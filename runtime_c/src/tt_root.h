/* Square roots of whole numbers. */
#ifndef TT_ROOT_H
#define TT_ROOT_H

#include <stdint.h>

/* floor(sqrt(v)), a bit at a time from `top` on: a power of four, with v below 4 * top. */
static inline uint32_t tt_root_u32(uint32_t v, uint32_t top)
{
    uint32_t root = 0;
    for (uint32_t bit = top; bit != 0; bit >>= 2) {
        if (v >= root + bit) {
            v -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return root;
}

static inline uint32_t tt_root_u64(uint64_t v, uint64_t top)
{
    uint64_t root = 0;
    for (uint64_t bit = top; bit != 0; bit >>= 2) {
        if (v >= root + bit) {
            v -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return (uint32_t)root;
}

#endif
