/* A file in memory, for the callbacks of NAME_save and NAME_load. */
#ifndef MEMORY_FILE_H
#define MEMORY_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    uint8_t bytes[1 << 18];
    size_t size; /* written so far */
} memory_file;

static inline int write_file(void *context, const void *data, size_t size)
{
    memory_file *out = context;
    if (size > sizeof out->bytes - out->size) {
        return 1;
    }
    memcpy(out->bytes + out->size, data, size);
    out->size += size;
    return 0;
}

static inline int read_file(void *context, size_t offset, void *data, size_t size)
{
    const memory_file *in = context;
    if (offset > in->size || size > in->size - offset) {
        return 1;
    }
    memcpy(data, in->bytes + offset, size);
    return 0;
}

/* Whether both hold the same. */
static inline int files_equal(const memory_file *a, const memory_file *b)
{
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

#endif
