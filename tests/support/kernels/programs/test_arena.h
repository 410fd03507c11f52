/* Buffers with guards on both sides.
 *
 * The gaps between buffers are at least TEST_GUARD bytes of noise that arena_intact checks. With
 * fences, up to seven buffers also begin or end at a fence of 32 bytes that nobody may touch: even
 * a read of one byte in it is a fault. */
#ifndef TEST_ARENA_H
#define TEST_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define TEST_GUARD 32U
#define TEST_BUFFERS 24U
#define TEST_ARENA_BYTES 0x180000U

typedef struct {
    const char *name;
    uint8_t *start;
    size_t size;
    int workspace; /* its content does not count */
} test_buffer;

typedef struct {
    uint8_t *base;
    size_t used;
    uint32_t salt;
    uint32_t random; /* draws alignments */
    uint32_t fences; /* 0: none; 1: behind buffers; 2: before them; plus 256 times the number from 1
                        of the only one */
    size_t workspace_bytes;
    size_t count;
    size_t fenced;      /* buffers that have a fence */
    size_t fence_count; /* fences that stand: all of those, or one */
    test_buffer buffers[TEST_BUFFERS];
    uintptr_t fence[7];
} test_arena;

/* Empties the arena. Two arenas with one `seed` lay out the same buffers alike; noise depends on
 * `salt`. */
void arena_begin(test_arena *arena, uint8_t *base, uint32_t seed, uint32_t salt, uint32_t fences,
                 size_t workspace_bytes);

/* A buffer of `size` bytes aligned to `alignment` (a power of two up to 8), and seldom to more;
 * filled with noise that is the same in both arenas. */
void *arena_take(test_arena *arena, const char *name, size_t size, size_t alignment);

/* Workspace: arena->workspace_bytes, 8-aligned, filled with noise of this arena; NULL when there is
 * none. Taken last. */
void *arena_take_workspace(test_arena *arena);

/* From here to arena_lower_fences the fences stand. */
void arena_raise_fences(const test_arena *arena);
void arena_lower_fences(void);

/* Returns the number of guard bytes that changed, and tells about the first. */
size_t arena_broken(const test_arena *arena, const char *who);

/* Returns the number of bytes that differ in buffers of the two, and tells about the first of
 * each. */
size_t arena_differences(const test_arena *expected, const test_arena *actual);

/* Prints text and numbers; test_main.c. */
void say(const char *text);
void say_number(const char *text, int32_t value);

#endif
