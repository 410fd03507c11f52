/* The port of every microcontroller: files by semihosting, whoever serves it. */
#include "tt_port.h"
#include "tt_semihosting.h"

static int console = -1;

static int open_mode(const char *path, uint32_t mode)
{
    const struct {
        const char *path;
        uint32_t mode;
        uint32_t length;
    } block = {path, mode, tt_text_length(path)};
    return (int)tt_semihosting(TT_SYS_OPEN, &block);
}

/* Returns 0 when the host says that no byte is left over. */
static int transfer(uint32_t operation, int handle, const void *data, size_t size)
{
    const struct {
        int handle;
        const void *data;
        size_t size;
    } block = {handle, data, size};
    if (handle < 0) {
        return -1;
    }
    return tt_semihosting(operation, &block) == 0 ? 0 : -1;
}

int tt_port_open(const char *path, int for_writing)
{
    /* Modes of C's fopen by number: 1 is "rb", 7 is "w+b". */
    return open_mode(path, for_writing ? 7 : 1);
}

int tt_port_read(int handle, void *data, size_t size)
{
    return transfer(TT_SYS_READ, handle, data, size);
}

int tt_port_write(int handle, const void *data, size_t size)
{
    return transfer(TT_SYS_WRITE, handle, data, size);
}

int tt_port_seek(int handle, size_t offset)
{
    const struct {
        int handle;
        size_t offset;
    } block = {handle, offset};
    return handle >= 0 && tt_semihosting(TT_SYS_SEEK, &block) == 0 ? 0 : -1;
}

void tt_port_close(int handle)
{
    if (handle >= 0) {
        (void)tt_semihosting(TT_SYS_CLOSE, &handle);
    }
}

void tt_port_print(const char *text)
{
    /* SYS_WRITE0 would go to standard error under QEMU; ":tt" opened for writing (mode 4, "w") is
     * standard output. */
    if (console < 0) {
        console = open_mode(":tt", 4);
    }
    (void)transfer(TT_SYS_WRITE, console, text, tt_text_length(text));
}

void tt_port_print_error(const char *text)
{
    (void)tt_semihosting(TT_SYS_WRITE0, text);
}

_Noreturn void tt_port_exit(int code)
{
    const uint32_t block[2] = {TT_STOPPED_APPLICATION_EXIT, (uint32_t)code};
    for (;;) {
        (void)tt_semihosting(TT_SYS_EXIT_EXTENDED, block);
    }
}
