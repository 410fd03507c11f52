"""Families of cores: what start-up, linking and emulation of every core in one share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Architecture:
    """One family of cores.

    Attributes:
        prefix: what the names of its cores begin with.
        folder: of `targets/`, with what only these cores have.
        port: the files of `targets/` that every program takes.
        clock: that the link's program measures by where a target's file names no other,
            `targets/link/clock_NAME.c`.
        trap: the file that stops for a debugger, which then serves a call of semihosting.
        root: the C function that everything runs in, interrupts aside.
        link_flags: of the linking command, beside the core's own.
        emulator: QEMU's command for it; "" where there is none.
        emulator_flags: further arguments of it.
        interrupt_words: words that hardware saves on the stack when an interrupt comes.
        float_words: as many more where a float unit has registers that an interrupt may use.
        each_call: bytes of stack that a call takes beside what the compiler's call graph says.
        library_stack: bytes that a function of the library is taken to use where no bound
            is known; None where that is an error.
    """

    prefix: str
    folder: str
    port: tuple[str, ...] = ()
    clock: str = "none"
    trap: str = ""
    root: str = "tt_start"
    link_flags: tuple[str, ...] = ()
    emulator: str = ""
    emulator_flags: tuple[str, ...] = ()
    interrupt_words: int = 0
    float_words: int = 0
    each_call: int = 0
    library_stack: int | None = None


HOST = Architecture("host", "host", port=("host/port_host.c",), root="main")
"""This machine."""

CORTEX_M = Architecture(
    "cortex-m",
    "cortex_m",
    port=(
        "cortex_m/instructions.c",
        "cortex_m/startup.c",
        "cortex_m/systick.inc.h",
        "startup.inc.h",
    ),
    clock="systick",
    trap="semihosting_trap.c",
    # nano.specs chooses the small memcpy and memset; nothing else comes from the C library.
    link_flags=("-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections"),
    emulator="qemu-system-arm",
    # Arm's architecture manuals, "exception entry": 8 words, with a float unit 18 more, and up to
    # one word to align the stack to 8 bytes.
    interrupt_words=9,
    float_words=18,
)
"""Arm's microcontrollers."""

RISCV = Architecture(
    "rv32",
    "riscv",
    port=("riscv/instructions.c", "riscv/startup.c", "startup.inc.h"),
    trap="semihosting_trap.c",
    # The C library is a flag of the core: the compiler finds its headers no other way.
    link_flags=("-nostartfiles", "-Wl,--gc-sections"),
    emulator="qemu-system-riscv32",
    # Without the firmware that it starts by itself. No interrupt is ever enabled.
    emulator_flags=("-bios", "none"),
)
"""RISC-V of 32 bits in machine mode."""

XTENSA = Architecture(
    "xtensa",
    "xtensa",
    port=("xtensa/port_none.c",),
    root="main",
    # Start-up code, float helpers and the C library are the chip's own: they are not counted.
    link_flags=("-nostdlib", "-Wl,--gc-sections,--unresolved-symbols=ignore-all,-e,main"),
    # Xtensa ISA manual, "windowed procedure call": 16 bytes for the caller's registers and up to 32
    # more, which code for a core without windows does not have.
    each_call=48,
    # Stated, not derived: the chip's ROM has these functions.
    library_stack=96,
)
"""Cores of the ESP32 and the ESP32-S3, to be counted only."""

ARCHITECTURES = (HOST, CORTEX_M, RISCV, XTENSA)


def architecture_of(core: str) -> Architecture | None:
    """The family of a core, such as `cortex-m7` or `rv32imac`; None where it is none of ours."""
    return next((one for one in ARCHITECTURES if core.startswith(one.prefix)), None)
