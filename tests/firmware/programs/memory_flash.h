/* A flash in memory that never fails, for a tt_store: `context` of its medium is the bytes. */
#ifndef MEMORY_FLASH_H
#define MEMORY_FLASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline int read_flash(void *context, uint32_t address, void *data, size_t size)
{
    memcpy(data, (const uint8_t *)context + address, size);
    return 0;
}

static inline int program_flash(void *context, uint32_t address, const void *data, size_t size)
{
    memcpy((uint8_t *)context + address, data, size);
    return 0;
}

static inline int erase_flash(void *context, uint32_t address, size_t size)
{
    memset((uint8_t *)context + address, 0xff, size);
    return 0;
}

#endif
