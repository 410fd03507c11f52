/* The port for the machine that tinytrain itself runs on: C's own files. */
#include "tt_port.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_FILES 8

static FILE *files[MAX_FILES];

static FILE *file_of(int handle)
{
    return handle >= 0 && handle < MAX_FILES ? files[handle] : NULL;
}

int tt_port_open(const char *path, int for_writing)
{
    for (int handle = 0; handle < MAX_FILES; handle++) {
        if (files[handle] == NULL) {
            files[handle] = fopen(path, for_writing ? "w+b" : "rb");
            return files[handle] == NULL ? -1 : handle;
        }
    }
    return -1;
}

int tt_port_read(int handle, void *data, size_t size)
{
    FILE *file = file_of(handle);
    return file != NULL && fread(data, 1, size, file) == size ? 0 : -1;
}

int tt_port_write(int handle, const void *data, size_t size)
{
    FILE *file = file_of(handle);
    /* Flushed, so that a full disk is seen here and not lost when the file is closed. */
    return file != NULL && fwrite(data, 1, size, file) == size && fflush(file) == 0 ? 0 : -1;
}

int tt_port_seek(int handle, size_t offset)
{
    FILE *file = file_of(handle);
    return file != NULL && offset <= LONG_MAX && fseek(file, (long)offset, SEEK_SET) == 0 ? 0 : -1;
}

void tt_port_close(int handle)
{
    FILE *file = file_of(handle);
    if (file != NULL) {
        (void)fclose(file);
        files[handle] = NULL;
    }
}

void tt_port_print(const char *text)
{
    (void)fputs(text, stdout);
    (void)fflush(stdout);
}

void tt_port_print_error(const char *text)
{
    (void)fputs(text, stderr);
}

uint64_t tt_port_instructions(void)
{
    return 0;
}

uint32_t tt_port_stack_used(void)
{
    return 0;
}

_Noreturn void tt_port_exit(int code)
{
    exit(code);
}
