/* The port of a program that is counted and never runs: no files, no text. */
#include "tt_port.h"

int tt_port_open(const char *path, int for_writing)
{
    (void)path;
    (void)for_writing;
    return -1;
}

int tt_port_read(int handle, void *data, size_t size)
{
    (void)handle;
    (void)data;
    (void)size;
    return -1;
}

int tt_port_write(int handle, const void *data, size_t size)
{
    (void)handle;
    (void)data;
    (void)size;
    return -1;
}

int tt_port_seek(int handle, size_t offset)
{
    (void)handle;
    (void)offset;
    return -1;
}

void tt_port_close(int handle)
{
    (void)handle;
}

void tt_port_print(const char *text)
{
    (void)text;
}

void tt_port_print_error(const char *text)
{
    (void)text;
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
    (void)code;
    for (;;) {
    }
}
