/* A memory for tests, in which power is cut before, in the middle of and after any operation. */
#ifndef FLASH_SIMULATOR_H
#define FLASH_SIMULATOR_H

#include <setjmp.h>
#include <string.h>

#include "holds.h"
#include "tt_store.h"

enum { MOST = 1 << 16, BEFORE = 0, TORN, AFTER, NEVER = 1 << 30 };

static uint8_t bytes[MOST], snapshot[MOST];
static uint8_t programmed[MOST], programmed_then[MOST]; /* since the last erase */
static uint32_t erased[MOST];                           /* times that a byte was */
static tt_store_slot slots[255];
static tt_store_medium medium;
static uint8_t page[512];

static uint32_t random_state = 1;

static uint32_t any(uint32_t below)
{
    random_state = random_state * 1664525U + 1013904223U;
    return (random_state >> 8) % below;
}

static int operations, ends_at = NEVER, how = BEFORE, fails, cannot_read;
static jmp_buf power;

/* Whether an operation goes through as a whole; it may not come back. */
static int goes_through(void)
{
    if (operations++ != ends_at) {
        return 1;
    }
    if (!fails && how == BEFORE) {
        longjmp(power, 1);
    }
    return 0;
}

static int end(void)
{
    if (!fails) {
        longjmp(power, 1);
    }
    return -1;
}

static int read_bytes(void *context, uint32_t address, void *data, size_t size)
{
    (void)context;
    HOLDS(address <= MOST && size <= MOST - address);
    if (cannot_read) {
        return -1;
    }
    memcpy(data, bytes + address, size);
    return 0;
}

static int program_bytes(void *context, uint32_t address, const void *data, size_t size)
{
    (void)context;
    const uint32_t unit = medium.program_unit ? medium.program_unit : 1;
    HOLDS(size > 0 && address % unit == 0 && size % unit == 0 && size <= MOST - address);
    const int is_whole = goes_through();
    const uint8_t *from = data;
    for (size_t i = 0; i < size; i++) {
        HOLDS(medium.erase == NULL || !programmed[address + i]);
        if (is_whole || how == AFTER) {
            bytes[address + i] = from[i];
        } else if (how == TORN && any(2)) {
            /* Some bits of a byte, on flash always from 1 to 0. */
            const uint8_t some = (uint8_t)any(256);
            bytes[address + i] = medium.erase == NULL ? some : (uint8_t)(from[i] | some);
        } else {
            continue;
        }
        programmed[address + i] = 1;
    }
    return is_whole ? 0 : end();
}

static int erase_bytes(void *context, uint32_t address, size_t size)
{
    (void)context;
    if (medium.erase_unit) {
        HOLDS(size == medium.erase_unit && address % medium.erase_unit == 0);
    }
    const int is_whole = goes_through();
    for (size_t i = 0; i < size; i++) {
        if (is_whole || how == AFTER) {
            bytes[address + i] = 0xFF;
            programmed[address + i] = 0;
            erased[address + i]++;
        } else if (how == TORN && any(2)) {
            bytes[address + i] = (uint8_t)any(256);
            programmed[address + i] = 1;
        }
    }
    return is_whole ? 0 : end();
}

#endif
