/* docs/stores/zephyr.md on an NVS that is a table in RAM: the power fails before each record. */
#include "block.c"

#include <stdio.h>
#include <stdlib.h>

enum { IDS = 1200 };

static struct {
    uint8_t bytes[PIECE];
    size_t size;
} table[IDS], table_then[IDS];

static int left = -1; /* records that can be written; -1: all */

ssize_t nvs_write(struct nvs_fs *fs, uint16_t id, const void *data, size_t len)
{
    (void)fs;
    if (id >= IDS || len > PIECE || left == 0) {
        return -5;
    }
    left -= left > 0;
    memcpy(table[id].bytes, data, len);
    table[id].size = len;
    return (ssize_t)len;
}

ssize_t nvs_read(struct nvs_fs *fs, uint16_t id, void *data, size_t len)
{
    (void)fs;
    if (id >= IDS || table[id].size == 0) {
        return -2;
    }
    memcpy(data, table[id].bytes, len < table[id].size ? len : table[id].size);
    return (ssize_t)table[id].size;
}

static float rate_found(records *from)
{
    const tt_status status = start(from);
    return status == TT_OK ? own_learning_rate(&state) : -1.0F;
}

int main(void)
{
    struct nvs_fs fs;
    records store = {.fs = &fs};
    if (start(&store) != TT_ERROR_EMPTY) {
        return 1;
    }
    for (int commits = 0; commits < 3; commits++) {
        memcpy(table_then, table, sizeof table);
        const float old = rate_found(&store), new = 0.001F * (float)(commits + 1);
        for (int cut = 0;; cut++) {
            memcpy(table, table_then, sizeof table);
            (void)rate_found(&store);
            (void)own_set_learning_rate(&state, new);
            left = cut;
            const tt_status status = keep(&store);
            left = -1;
            const float found = rate_found(&store);
            if (found != (status == TT_OK ? new : old)) {
                printf("commit %d, cut %d: %g\n", commits, cut, (double)found);
                return 1;
            }
            if (status == TT_OK) {
                break;
            }
        }
    }
    puts("ok");
    return 0;
}
