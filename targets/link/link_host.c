/* A serial line of this machine: a pseudo-terminal, whose name is the first line of the output. */
#define _XOPEN_SOURCE 600
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "tt_link_board.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 1000 };

static int line = -1;

static int read_byte(void *context)
{
    static uint8_t bytes[4096];
    static ssize_t count, at;
    (void)context;
    if (at == count) {
        struct pollfd event = {line, POLLIN, 0};
        count = poll(&event, 1, 0) > 0 ? read(line, bytes, sizeof bytes) : 0;
        at = 0;
        if (count <= 0) {
            count = 0;
            return -1;
        }
    }
    return bytes[at++];
}

static void write_bytes(void *context, const void *data, size_t size)
{
    const uint8_t *from = data;
    (void)context;
    while (size > 0) {
        const ssize_t done = write(line, from, size);
        if (done <= 0) {
            exit(1);
        }
        from += done;
        size -= (size_t)done;
    }
}

/* Microseconds. */
static uint32_t clock_now(void *context)
{
    struct timespec now;
    (void)context;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U);
}

_Noreturn static void fail(void)
{
    perror("no pseudo-terminal");
    exit(1);
}

void tt_link_board_idle(void)
{
    struct pollfd event = {line, POLLIN, 0};
    (void)poll(&event, 1, WAIT_MS);
}

const tt_link_port *tt_link_board(void)
{
    static const tt_link_port port = {read_byte, write_bytes, clock_now, 1000000U, NULL, NULL};
    struct termios mode;
    line = posix_openpt(O_RDWR | O_NOCTTY);
    if (line < 0 || grantpt(line) != 0 || unlockpt(line) != 0) {
        fail();
    }
    const char *const name = ptsname(line);
    /* Held open, so that the line outlasts those who use it. */
    const int other = name == NULL ? -1 : open(name, O_RDWR | O_NOCTTY);
    if (other < 0 || tcgetattr(other, &mode) != 0) {
        fail();
    }
    mode.c_iflag = 0;
    mode.c_oflag = 0;
    mode.c_lflag = 0;
    mode.c_cflag = (mode.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8 | CREAD | CLOCAL;
    mode.c_cc[VMIN] = 1;
    mode.c_cc[VTIME] = 0;
    if (tcsetattr(other, TCSANOW, &mode) != 0) {
        fail();
    }
    (void)puts(name);
    (void)fflush(stdout);
    return &port;
}
