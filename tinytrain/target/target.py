"""A target: a core, how to compile for it, how much memory it has, what emulates and flashes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinytrain.target.architecture import Architecture

ARITHMETIC_CFLAGS = (
    # Every product is rounded before it is added, on every core: results equal to the bit.
    "-ffp-contract=off",
    "-fno-fast-math",
    # The arena's bytes hold s8, s16, s32 and f32 in turn.
    "-fno-strict-aliasing",
)
"""Flags that results depend on, whoever builds."""

COMMON_CFLAGS = ("-std=c11", *ARITHMETIC_CFLAGS, "-ffunction-sections", "-fdata-sections")
"""Flags of every C file on every target."""

STACK_CFLAGS = ("-fcallgraph-info=su", "-fno-ipa-icf")
"""gcc's flags for the stack analysis: write the call graph, and let no function become another name
of an equal one, which the graph would not show."""

WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wredundant-decls", "-Werror")
"""Warnings that every C file is free of."""


@dataclass(frozen=True)
class Region:
    """A range of addresses: `length` bytes from `origin`."""

    origin: int
    length: int


@dataclass(frozen=True)
class MemoryMap:
    """Where the linker puts things.

    `vectors` is None where the vector table lies at the start of `flash`; some cores start from
    another memory. `boot` is what a chip's boot loader reads before the program; None where it
    reads nothing.
    """

    flash: Region
    ram: Region
    vectors: Region | None = None
    boot: Region | None = None

    @property
    def regions(self) -> Mapping[str, Region]:
        """By what the linker calls them."""
        every = {"FLASH": self.flash, "RAM": self.ram, "VECTORS": self.vectors, "BOOT": self.boot}
        return {name: region for name, region in every.items() if region is not None}


@dataclass(frozen=True)
class Serial:
    """The serial line of a board.

    Attributes:
        uart: the kind, which has a driver in `targets/uart/uart_KIND.c`.
        settings: what this driver and the clock want to know, by the names of their macros without
            `TT_UART_`.
        clock: the kind that the link's program measures by, `targets/link/clock_KIND.c`; "" takes
            the one that the core's family has.
    """

    uart: str
    settings: Mapping[str, int]
    clock: str = ""

    @property
    def driver(self) -> str:
        """The driver's file."""
        return f"uart_{self.uart}.c"


@dataclass(frozen=True)
class BoardFacts:
    """What one buys, and how a program gets into it.

    Attributes:
        name: as its maker calls it.
        port: where its serial line is found: on which plug, or on which pins.
        runners: by name, the usual one first, each with what it calls the chip.
        chip: a folder of `targets/chips` with what this chip needs beside its core's start-up code.
    """

    name: str
    port: str
    runners: Mapping[str, str]
    chip: str = ""


@dataclass(frozen=True)
class Target:
    """What a model is compiled for: `targets/NAME/target.toml`, or a file in the same form.

    Attributes:
        name: the folder's name, or the stem of the user's file.
        description: a few words for `tinytrain targets`, at most 30 characters.
        core: "host", Arm's name in small letters (`cortex-m7`), or RISC-V's of the instruction set
            (`rv32imac`).
        architecture: the family that the core belongs to.
        compiler: the C compiler's command.
        cflags: flags of this core, beside `COMMON_CFLAGS`.
        isa: the richest instruction set of the core, one of `isa.ISAS`.
        ram, flash: budget in bytes; what a program may use, not more than what `memory` holds.
        memory: None on the host.
        machine: QEMU's name of the machine, or None where nothing emulates the target.
        instructions_per_tick: of the counter of `tt_port_instructions` under `-icount shift=0`; a
            multiple of 1/4, and 0 where no tick is a number of instructions.
        serial: its line to the world; None where it has none, or no driver of ours.
        files_over_serial: whether the program of a folder has its files from the other end of this
            line; otherwise a debugger or an emulator serves them.
        board: None for a core that is emulated only, and for the host.
        clock_hz: what the core usually runs at; None where that is not known. Estimates of seconds
            depend on it, nothing else does.
    """

    name: str
    description: str
    core: str
    architecture: Architecture
    compiler: str
    cflags: tuple[str, ...]
    isa: str
    ram: int
    flash: int
    memory: MemoryMap | None = None
    machine: str | None = None
    instructions_per_tick: float = 0.0
    clock_hz: int | None = None
    serial: Serial | None = None
    files_over_serial: bool = False
    board: BoardFacts | None = None

    @property
    def is_host(self) -> bool:
        """Whether programs run on this very machine."""
        return self.memory is None

    @property
    def has_line(self) -> bool:
        """Whether the program behind a link has a line to the outside here."""
        return self.is_host or self.serial is not None

    @property
    def has_float_unit(self) -> bool:
        """Whether an interrupt may have to save float registers."""
        return any(flag in self.cflags for flag in ("-mfloat-abi=hard", "-mabi=ilp32f"))

    @property
    def interrupt_frame(self) -> int:
        """Bytes of stack that hardware takes when an interrupt comes."""
        own = self.architecture
        return 4 * (own.interrupt_words + (own.float_words if self.has_float_unit else 0))

    @property
    def compile_flags(self) -> tuple[str, ...]:
        """Flags of every C file, without optimisation and warnings."""
        return (*self.cflags, *COMMON_CFLAGS, *self.one_name_flags, *self.port_flags)

    @property
    def one_name_flags(self) -> tuple[str, ...]:
        """So that what a user builds is what was measured."""
        return () if self.is_host else STACK_CFLAGS[1:]

    @property
    def port_flags(self) -> tuple[str, ...]:
        """What the port has to know of the target."""
        quarters = round(4 * self.instructions_per_tick)
        return (f"-DTT_INSTRUCTIONS_PER_TICK_X4={quarters}",) if quarters else ()

    @property
    def link_flags(self) -> tuple[str, ...]:
        """Flags of the linking command, before those that name the linker script."""
        return () if self.is_host else (*self.cflags, *self.architecture.link_flags)

    @property
    def executable(self) -> str:
        """Suffix of a linked program's file."""
        return "" if self.is_host else ".elf"
