/* A plugin of QEMU's code translator that ends the emulation at a vector load or store whose
 * address is not a multiple of its elements' size: the core faults there, QEMU does not.
 *
 * Argument: watch=FILE, a line "ADDRESS SIZE" in hexadecimal for each such instruction. The
 * functions below are QEMU's plugin interface, version 1. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef struct qemu_info_t qemu_info_t;

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
                                           void (*callback)(uint64_t id,
                                                            struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
                                      void (*callback)(unsigned int cpu, uint32_t info,
                                                       uint64_t address, void *data),
                                      int flags, int accesses, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
int qemu_plugin_install(uint64_t id, const qemu_info_t *info, int argc, char **argv);

int qemu_plugin_version = 1;

#define READS_AND_WRITES 3
#define MOST 16384U

static struct {
    uint64_t address, size;
} watched[MOST];
static size_t count;

static void accessed(unsigned int cpu, uint32_t info, uint64_t address, void *data)
{
    const size_t i = (size_t)(uintptr_t)data;
    (void)cpu;
    (void)info;
    if (address % watched[i].size != 0) {
        (void)fprintf(stderr,
                      "unaligned address 0x%" PRIx64 " of a vector access, pc 0x%08" PRIx64 "\n",
                      address, watched[i].address);
        (void)fflush(NULL);
        _exit(98);
    }
}

/* Of the instructions that are not watched. */
static void passed(unsigned int cpu, uint32_t info, uint64_t address, void *data)
{
    (void)cpu;
    (void)info;
    (void)address;
    (void)data;
}

/* Every instruction has a callback of its own. QEMU goes on with that of the last one where a block
 * ends behind it, as at the end of a page: what comes next would answer for it. */
static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    for (size_t n = 0; n < qemu_plugin_tb_n_insns(tb); n++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, n);
        const uint64_t address = qemu_plugin_insn_vaddr(insn);
        size_t i = 0;
        while (i < count && watched[i].address != address) {
            i++;
        }
        qemu_plugin_register_vcpu_mem_cb(insn, i < count ? accessed : passed, 0, READS_AND_WRITES,
                                         (void *)(uintptr_t)i);
    }
}

int qemu_plugin_install(uint64_t id, const qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    if (argc != 1 || strncmp(argv[0], "watch=", 6) != 0) {
        return -1;
    }
    FILE *file = fopen(argv[0] + 6, "r");
    if (file == NULL) {
        return -1;
    }
    while (count < MOST && fscanf(file, "%" SCNx64 " %" SCNx64, &watched[count].address,
                                  &watched[count].size) == 2) {
        count++;
    }
    (void)fclose(file);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
