/* A plugin of QEMU's code translator that counts what a part of a program executes, and where.
 *
 * Arguments: out=FILE, enter=ADDRESS, leave=FIRST-LAST, sites=FIRST-LAST, pass=NUMBER. Counting
 * begins when the block at `enter` runs for the time `pass` (0: the first) and ends when a block in
 * `leave` (the caller of `enter`) does. A block in `sites` is the current site from then on: its
 * last address, which is a call. Writes a line for each site and block:
 *
 *   site, block's first address, its instructions, times it ran, times it was not followed by the
 *   next address
 *
 * The functions below are QEMU's plugin interface, version 1. A block is a run of instructions of
 * which all execute. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef struct qemu_info_t qemu_info_t;

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
                                           void (*callback)(uint64_t id,
                                                            struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
                                          void (*callback)(unsigned int cpu, void *data), int flags,
                                          void *data);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*callback)(uint64_t id, void *data),
                                    void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
int qemu_plugin_install(uint64_t id, const qemu_info_t *info, int argc, char **argv);

int qemu_plugin_version = 1;

typedef struct {
    uint64_t first, last, next; /* addresses: of the first and last instruction, and behind the
                                   block */
    size_t instructions;
} block;

typedef struct {
    uint64_t ran, left;
} counts;

typedef struct {
    uint64_t first, last;
} range;

#define BLOCKS 65536U
#define SITES 2048U

static block blocks[BLOCKS];
static size_t block_count;
static uint64_t site_addresses[SITES];
static counts *site_counts[SITES]; /* each of BLOCKS */
static size_t site_count;
static size_t site;
static const block *previous;
static size_t previous_site;
static int counting;
static uint64_t passes;
static uint64_t wanted_pass;
static uint64_t enter;
static range leave, sites;
static const char *output;

static void fail(const char *what)
{
    (void)fprintf(stderr, "count_plugin: %s\n", what);
    abort();
}

static int within(range area, uint64_t address)
{
    return area.first <= address && address <= area.last;
}

static size_t site_of(uint64_t address)
{
    for (size_t i = 0; i < site_count; i++) {
        if (site_addresses[i] == address) {
            return i;
        }
    }
    if (site_count == SITES) {
        fail("too many sites");
    }
    site_addresses[site_count] = address;
    site_counts[site_count] = calloc(BLOCKS, sizeof(counts));
    if (site_counts[site_count] == NULL) {
        fail("no memory");
    }
    return site_count++;
}

static void executed(unsigned int cpu, void *data)
{
    const block *now = data;
    (void)cpu;
    if (now->first == enter && passes++ == wanted_pass) {
        counting = 1;
        previous = NULL;
    }
    if (!counting) {
        return;
    }
    if (previous != NULL && previous->next != now->first) {
        site_counts[previous_site][previous - blocks].left++;
    }
    if (within(leave, now->first)) {
        counting = 0;
        return;
    }
    if (within(sites, now->first)) {
        site = site_of(now->last);
    }
    site_counts[site][now - blocks].ran++;
    previous = now;
    previous_site = site;
}

/* A block may be translated anew, in full or cut; equal ones share an entry. */
static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
    const size_t instructions = qemu_plugin_tb_n_insns(tb);
    const struct qemu_plugin_insn *end = qemu_plugin_tb_get_insn(tb, instructions - 1);
    const uint64_t first = qemu_plugin_tb_vaddr(tb);
    const uint64_t last = qemu_plugin_insn_vaddr(end);
    size_t i = 0;
    (void)id;
    while (i < block_count &&
           (blocks[i].first != first || blocks[i].instructions != instructions)) {
        i++;
    }
    if (i == BLOCKS) {
        fail("too many blocks");
    }
    if (i == block_count) {
        blocks[block_count++] =
            (block){first, last, last + qemu_plugin_insn_size(end), instructions};
    }
    qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, 0, &blocks[i]);
}

static void finish(uint64_t id, void *data)
{
    FILE *file = fopen(output, "w");
    (void)id;
    (void)data;
    if (file == NULL) {
        fail("the output cannot be written");
    }
    for (size_t s = 0; s < site_count; s++) {
        for (size_t b = 0; b < block_count; b++) {
            const counts *found = &site_counts[s][b];
            if (found->ran != 0) {
                (void)fprintf(file, "%" PRIx64 " %" PRIx64 " %zu %" PRIu64 " %" PRIu64 "\n",
                              site_addresses[s], blocks[b].first, blocks[b].instructions,
                              found->ran, found->left);
            }
        }
    }
    if (fclose(file) != 0) {
        fail("the output cannot be written");
    }
}

static range parse_range(const char *text)
{
    char *rest;
    range found;
    found.first = strtoull(text, &rest, 0);
    found.last = *rest == '-' ? strtoull(rest + 1, NULL, 0) : found.first;
    return found;
}

int qemu_plugin_install(uint64_t id, const qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "out=", 4) == 0) {
            output = strdup(argv[i] + 4);
        } else if (strncmp(argv[i], "enter=", 6) == 0) {
            enter = parse_range(argv[i] + 6).first;
        } else if (strncmp(argv[i], "leave=", 6) == 0) {
            leave = parse_range(argv[i] + 6);
        } else if (strncmp(argv[i], "sites=", 6) == 0) {
            sites = parse_range(argv[i] + 6);
        } else if (strncmp(argv[i], "pass=", 5) == 0) {
            wanted_pass = parse_range(argv[i] + 5).first;
        } else {
            (void)fprintf(stderr, "count_plugin: '%s' is no argument\n", argv[i]);
            return -1;
        }
    }
    if (output == NULL) {
        (void)fprintf(stderr, "count_plugin: out=FILE is missing\n");
        return -1;
    }
    site = site_of(0);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return 0;
}
