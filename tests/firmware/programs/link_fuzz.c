/* Hostile bytes for a link: noise, frames with a right CRC and anything in them, sessions that are
 * torn. Argument: how many frames. Prints "ok" and how many came through. */
#include "own_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static own_state state;
static own_link self;
static uint8_t line[4096];
static size_t at, count;
static uint32_t answered, seed = 1;

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525U + 1013904223U;
    return (uint32_t)(((uint64_t)seed * below) >> 32);
}

static int read_byte(void *context)
{
    (void)context;
    return at < count ? line[at++] : -1;
}

static void write_bytes(void *context, const void *data, size_t size)
{
    (void)context;
    (void)data;
    answered += size > 1;
}

/* COBS with the shortest blocks that hold no zero. */
static void put_frame(const uint8_t *data, size_t size)
{
    count = 0;
    line[count++] = 0;
    size_t code = count++;
    line[code] = 1;
    for (size_t i = 0; i < size; i++) {
        if (data[i] == 0) {
            code = count++;
            line[code] = 1;
            continue;
        }
        line[count++] = data[i];
        if (++line[code] == 255 && i + 1 < size) {
            code = count++;
            line[code] = 1;
        }
    }
    line[count++] = 0;
}

static void make_frame(uint32_t *sequence)
{
    uint8_t frame[sizeof(tt_link_header) + TT_LINK_BODY + 64];
    tt_link_header header = {*sequence, (uint8_t)draw(24), 0, 0};
    size_t size = draw(8) ? draw(40) : draw(TT_LINK_BODY + 40);
    header.type = draw(50) ? header.type : (uint8_t)draw(256);
    header.size = (uint16_t)(draw(40) ? size : draw(65536));
    for (size_t i = 0; i < size; i++) {
        frame[sizeof header + i] = draw(3) ? 0 : (uint8_t)draw(256);
    }
    if (header.type == TT_LINK_HELLO && draw(10)) {
        header.type = TT_LINK_TRAIN;
    }
    memcpy(frame, &header, sizeof header);
    const uint32_t crc = tt_crc32(0, frame, sizeof header + size);
    memcpy(frame + sizeof header + size, &crc, sizeof crc);
    put_frame(frame, sizeof header + size + sizeof crc);
    *sequence += draw(20) != 0;
}

int main(int arguments, char **values)
{
    const tt_link_port port = {read_byte, write_bytes, NULL, 0, NULL, NULL};
    const long frames = arguments > 1 ? atol(values[1]) : 1000;
    uint32_t sequence = 0;
    own_init(&state);
    own_link_init(&self, &state, &port);
    for (long i = 0; i < frames; i++) {
        make_frame(&sequence);
        for (uint32_t hits = draw(4) ? 0 : draw(5); hits > 0; hits--) {
            line[draw((uint32_t)count)] = (uint8_t)draw(256);
        }
        at = draw(30) ? 0 : draw((uint32_t)count);
        while (at < count) {
            (void)own_link_poll(&self);
        }
    }
    printf("ok %d\n", answered > frames / 4);
    return 0;
}
