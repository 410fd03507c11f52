/* What the program around a model needs from the place where it runs: files, text, an instruction
 * count, the stack's high-water mark and an exit code.
 *
 * The model and the runtime never call these functions; only `main.c` does. Nothing here allocates
 * memory, and nothing may be called from an interrupt. */
#ifndef TT_PORT_H
#define TT_PORT_H

#include <stddef.h>
#include <stdint.h>

/* Exit code of a program that ended in a hardware fault. */
#define TT_PORT_EXIT_FAULT 99

/* Opens a file of the machine that holds the debugger or emulator (or of the host itself).
 *
 * path: zero-terminated, relative to the emulator's working directory.
 * for_writing: 0 reads an existing file; anything else creates the file or empties it, and it may
 * be read as well. Returns a handle >= 0, or -1. */
int tt_port_open(const char *path, int for_writing);

/* Reads exactly `size` bytes. Returns 0, or -1 when fewer came (end of file, bad handle). */
int tt_port_read(int handle, void *data, size_t size);

/* Writes exactly `size` bytes. Returns 0, or -1 when fewer went (disk full, bad handle). */
int tt_port_write(int handle, const void *data, size_t size);

/* The next read or write begins at this byte of the file; needed between a read and a write.
 * Returns 0, or -1 (bad handle). */
int tt_port_seek(int handle, size_t offset);

/* Closes a handle; -1 is ignored. */
void tt_port_close(int handle);

/* Prints zero-terminated text on standard output. */
void tt_port_print(const char *text);

/* Prints zero-terminated text on standard error; works also after a fault. */
void tt_port_print_error(const char *text);

/* Instructions executed since the first call, which returns 0 and starts the count.
 *
 * Exact to one tick of the counter (of a Cortex-M's SysTick at 25 MHz: 40 instructions) where the
 * emulator runs with one instruction a nanosecond; always 0 on the host and on boards, where no
 * tick is a number of instructions. */
uint64_t tt_port_instructions(void);

/* Largest number of stack bytes in use at any time so far, from the pattern painted at start-up;
 * 0 on the host. */
uint32_t tt_port_stack_used(void);

/* Ends the program. code: 0 to 255. */
_Noreturn void tt_port_exit(int code);

#endif
