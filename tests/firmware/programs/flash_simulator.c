/* The memory of flash_simulator.h as a library, for what is no C: after a cut nothing works until
 * the power is back. */
#include "flash_simulator.h"

static int is_off;

void simulator_start(uint32_t program_unit, uint32_t erase_unit)
{
    medium = (tt_store_medium){.program = program_bytes,
                               .erase = erase_bytes,
                               .program_unit = program_unit,
                               .erase_unit = erase_unit};
    memset(bytes, 0xFF, sizeof bytes);
    memset(programmed, 0, sizeof programmed);
    ends_at = NEVER;
}

/* Cuts the power at an operation from now, or never. */
void simulator_cut(int at, int kind)
{
    operations = 0;
    ends_at = at < 0 ? NEVER : at;
    how = kind;
    fails = 1; /* an operation that is cut comes back */
    is_off = 0;
}

int simulator_operations(void)
{
    return operations;
}

/* Copies what the memory holds, or brings it back. */
void simulator_keep(int is_back)
{
    memcpy(is_back ? bytes : snapshot, is_back ? snapshot : bytes, sizeof bytes);
    memcpy(is_back ? programmed : programmed_then, is_back ? programmed_then : programmed,
           sizeof programmed);
}

int simulator_read(uint32_t address, void *data, size_t size)
{
    return read_bytes(NULL, address, data, size);
}

int simulator_program(uint32_t address, const void *data, size_t size)
{
    /* What reads as erased may be programmed: a file system cannot know more. */
    for (size_t i = 0; i < size; i++) {
        programmed[address + i] = (uint8_t)(bytes[address + i] != 0xFF);
    }
    is_off = is_off || program_bytes(NULL, address, data, size) != 0;
    return is_off ? -1 : 0;
}

int simulator_erase(uint32_t address, size_t size)
{
    is_off = is_off || erase_bytes(NULL, address, size) != 0;
    return is_off ? -1 : 0;
}
