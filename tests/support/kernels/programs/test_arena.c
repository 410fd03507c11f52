#include "test_arena.h"

#define FENCE 32U
#define MPU_CONTROL (*(volatile uint32_t *)0xE000ED94U)
#define MPU_REGION (*(volatile uint32_t *)0xE000ED98U)
#define MPU_BASE (*(volatile uint32_t *)0xE000ED9CU)
#define MPU_LIMIT (*(volatile uint32_t *)0xE000EDA0U)
#define MPU_ENABLE_WITH_DEFAULT_MAP 5U

static uint8_t noise(uintptr_t place, uint32_t salt)
{
    uint32_t x = (uint32_t)place * 0x9E3779B9U + salt * 0x85EBCA6BU;
    x ^= x >> 15;
    x *= 0x2C1B3C6DU;
    return (uint8_t)(x >> 24);
}

static uint32_t draw(test_arena *arena)
{
    arena->random = arena->random * 1664525U + 1013904223U;
    return arena->random >> 16;
}

void arena_begin(test_arena *arena, uint8_t *base, uint32_t seed, uint32_t salt, uint32_t fences,
                 size_t workspace_bytes)
{
    *arena = (test_arena){.base = base,
                          .salt = salt,
                          .random = seed,
                          .fences = fences,
                          .workspace_bytes = workspace_bytes};
}

static size_t rounded_up(size_t offset, size_t alignment)
{
    return (offset + alignment - 1) / alignment * alignment;
}

/* Where the next buffer begins, and where the space for the one after it begins. */
static uint8_t *reserve(test_arena *arena, const char *name, size_t size, size_t alignment,
                        int workspace)
{
    const size_t gap = arena->used;
    size_t start = rounded_up(gap + TEST_GUARD + FENCE, FENCE);
    const size_t misaligned = (draw(arena) % 16U) * alignment;
    const int fenced =
        arena->fences != 0 && arena->fenced < 7U && size % alignment == 0 && size != 0;
    uintptr_t fence = 0;
    if (!fenced) {
        start += misaligned;
    } else if ((arena->fences & 1U) != 0) {
        start += (FENCE - size % FENCE) % FENCE;
        fence = (uintptr_t)(arena->base + start + size);
    } else {
        fence = (uintptr_t)(arena->base + start - FENCE);
    }
    arena->used = start + size;
    if (fenced) {
        const uint32_t only = arena->fences >> 8;
        arena->fenced++;
        if (only == 0 || only == arena->fenced) {
            arena->fence[arena->fence_count++] = fence;
        }
        if (only == arena->fenced) {
            say("the fence of ");
            say(name);
            say("\n");
        }
    }
    if (arena->count == TEST_BUFFERS || arena->used + 2U * TEST_GUARD + FENCE > TEST_ARENA_BYTES) {
        say("the case needs more memory than an arena has\n");
        arena->used = 0;
        return NULL;
    }
    for (size_t i = gap; i < start; i++) {
        arena->base[i] = noise(i, arena->salt);
    }
    for (size_t i = start; i < arena->used; i++) {
        arena->base[i] = noise(i - start, workspace ? ~arena->salt : 100U + (uint32_t)arena->count);
    }
    for (size_t i = arena->used; i < arena->used + TEST_GUARD + FENCE; i++) {
        arena->base[i] = noise(i, arena->salt);
    }
    arena->buffers[arena->count++] = (test_buffer){name, arena->base + start, size, workspace};
    return arena->base + start;
}

void *arena_take(test_arena *arena, const char *name, size_t size, size_t alignment)
{
    return reserve(arena, name, size, alignment, 0);
}

void *arena_take_workspace(test_arena *arena)
{
    return arena->workspace_bytes == 0 ? NULL
                                       : reserve(arena, "workspace", arena->workspace_bytes, 8, 1);
}

static void set_region(uint32_t region, uintptr_t begin, uintptr_t end)
{
    MPU_REGION = region;
#if __ARM_ARCH >= 8
    /* There is no region without access for privileged code, but an address in two regions
     * faults. */
    MPU_BASE = (uint32_t)begin | 1U;
    MPU_LIMIT = (uint32_t)(end - 1) / 32U * 32U | 1U;
#else
    /* Size 2^5, no access. */
    (void)end;
    MPU_BASE = (uint32_t)begin;
    MPU_LIMIT = 4U << 1 | 1U;
#endif
}

void arena_raise_fences(const test_arena *arena)
{
    if (arena->fence_count == 0) {
        return;
    }
#if __ARM_ARCH >= 8
    set_region(7, (uintptr_t)arena->base, (uintptr_t)(arena->base + TEST_ARENA_BYTES));
#endif
    for (uint32_t i = 0; i < arena->fence_count; i++) {
        set_region(i, arena->fence[i], arena->fence[i] + FENCE);
    }
    MPU_CONTROL = MPU_ENABLE_WITH_DEFAULT_MAP;
    __asm volatile("dsb\n isb" ::: "memory");
}

void arena_lower_fences(void)
{
    MPU_CONTROL = 0;
    for (uint32_t i = 0; i < 8; i++) {
        MPU_REGION = i;
        MPU_LIMIT = 0;
    }
    __asm volatile("dsb\n isb" ::: "memory");
}

static size_t gap_broken(const test_arena *arena, const char *who, size_t begin, size_t end,
                         const test_buffer *buffer)
{
    size_t broken = 0;
    for (size_t i = begin; i < end; i++) {
        if (arena->base[i] != noise(i, arena->salt) && broken++ == 0) {
            say(who);
            say(": guard of ");
            say(buffer->name);
            say_number(" broken, byte ", (int32_t)(arena->base + i - buffer->start));
            say_number(" of ", (int32_t)buffer->size);
            say("\n");
        }
    }
    return broken;
}

size_t arena_broken(const test_arena *arena, const char *who)
{
    size_t broken = 0;
    size_t begin = 0;
    for (size_t i = 0; i < arena->count; i++) {
        const test_buffer *buffer = &arena->buffers[i];
        const size_t start = (size_t)(buffer->start - arena->base);
        const size_t middle = i == 0 ? 0 : begin + (start - begin) / 2;
        if (i != 0) {
            broken += gap_broken(arena, who, begin, middle, buffer - 1);
        }
        broken += gap_broken(arena, who, middle, start, buffer);
        begin = start + buffer->size;
    }
    if (arena->count != 0) {
        broken += gap_broken(arena, who, begin, begin + TEST_GUARD + FENCE,
                             &arena->buffers[arena->count - 1]);
    }
    return broken;
}

size_t arena_differences(const test_arena *expected, const test_arena *actual)
{
    size_t all = 0;
    for (size_t b = 0; b < expected->count && b < actual->count; b++) {
        const test_buffer *left = &expected->buffers[b];
        const test_buffer *right = &actual->buffers[b];
        size_t differ = 0;
        size_t first = 0;
        for (size_t i = 0; i < left->size && !left->workspace && !right->workspace; i++) {
            if (left->start[i] != right->start[i] && differ++ == 0) {
                first = i;
            }
        }
        if (differ != 0) {
            say(left->name);
            say_number(": differ ", (int32_t)differ);
            say_number(" of ", (int32_t)left->size);
            say_number(" bytes, the first at ", (int32_t)first);
            say_number(": ", (int8_t)right->start[first]);
            say_number(" instead of ", (int8_t)left->start[first]);
            say("\n");
        }
        all += differ;
    }
    return all;
}
