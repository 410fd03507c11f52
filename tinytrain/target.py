"""A target: a core, how to compile for it, how much memory it has, and what emulates it."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinytrain import resources
from tinytrain.errors import UsageError, Where
from tinytrain.isa import ISAS

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
    another memory.
    """

    flash: Region
    ram: Region
    vectors: Region | None = None


@dataclass(frozen=True)
class Target:
    """What a model is compiled for: `targets/NAME/target.toml`, or a file in the same form.

    Attributes:
        name: the folder's name, or the stem of the user's file.
        description: a few words for `tinytrain targets`, at most 30 characters.
        core: "host", or Arm's name in small letters (`cortex-m7`).
        compiler: the C compiler's command.
        cflags: flags of this core, beside `COMMON_CFLAGS`.
        isa: the richest instruction set of the core, one of `isa.ISAS`.
        ram, flash: budget in bytes; what a program may use, not more than what `memory` holds.
        memory: None on the host.
        machine: QEMU's name of the machine, or None where nothing emulates the target.
        instructions_per_tick: of SysTick under `-icount shift=0`; a multiple of 1/4, and 0 where
            no tick is a number of instructions.
        clock_hz: what the core usually runs at; None where that is not known. Estimates of seconds
            depend on it, nothing else does.
    """

    name: str
    description: str
    core: str
    compiler: str
    cflags: tuple[str, ...]
    isa: str
    ram: int
    flash: int
    memory: MemoryMap | None = None
    machine: str | None = None
    instructions_per_tick: float = 0.0
    clock_hz: int | None = None

    @property
    def is_host(self) -> bool:
        """Whether programs run on this very machine."""
        return self.memory is None

    @property
    def has_float_unit(self) -> bool:
        """Whether an interrupt may have to save float registers."""
        return "-mfloat-abi=hard" in self.cflags

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
        if self.is_host:
            return ()
        # nano.specs chooses the small memcpy and memset; nothing else comes from the C library.
        return (*self.cflags, "-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections")

    @property
    def executable(self) -> str:
        """Suffix of a linked program's file."""
        return "" if self.is_host else ".elf"


def list_targets() -> tuple[str, ...]:
    """Names of the targets that tinytrain brings along, sorted."""
    return tuple(sorted(file.parent.name for file in _folder().glob("*/target.toml")))


def targets() -> tuple[Target, ...]:
    """The targets that tinytrain brings along, by name."""
    return tuple(load_target(name) for name in list_targets())


def load_target(name: str | Path) -> Target:
    """Read a target by name, or from a TOML file of one's own.

    Args:
        name: one of `list_targets()`, or a path that ends in `.toml`.

    Raises:
        UsageError: there is no such target, or its file lacks something or holds something unknown.
    """
    text = str(name)
    if text.endswith(".toml"):
        file = Path(text)
        return _read(file, file.stem)
    known = list_targets()
    if text not in known:
        close = difflib.get_close_matches(text, known, n=1)
        raise UsageError(
            f"there is no target '{text}'" + (f"; did you mean '{close[0]}'?" if close else ""),
            detail="known: " + ", ".join(known),
            help="name one of these, or give the path of a target file ending in .toml",
        )
    return _read(_folder() / text / "target.toml", text)


def _folder() -> Path:
    return resources.folder("targets")


def _read(file: Path, name: str) -> Target:
    where = Where(str(file))
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the target file cannot be read: {error.strerror}", where=where) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"the target file is not TOML: {error}", where=where) from None
    return _Reader(table, where).target(name)


_KEYS = tuple("description core compiler cflags isa clock_hz budget memory emulator".split())


@dataclass(frozen=True)
class _Reader:
    """Turns a table into a `Target`, refusing every entry that it does not know."""

    table: Mapping[str, Any]
    where: Where

    def target(self, name: str) -> Target:
        self._only(self.table, "the file", _KEYS)
        budget = self._table("budget", ("ram", "flash"))
        emulator = self._table("emulator", ("machine", "instructions_per_tick"), optional=True)
        target = Target(
            name=name,
            description=self._text(self.table, "description"),
            core=self._text(self.table, "core"),
            compiler=self._text(self.table, "compiler"),
            cflags=self._texts("cflags"),
            isa=self._text(self.table, "isa"),
            ram=self._bytes(budget, "ram", 1),
            flash=self._bytes(budget, "flash", 1),
            memory=self._memory(),
            machine=self._text(emulator, "machine") if emulator else None,
            instructions_per_tick=self._per_tick(emulator),
            clock_hz=self._clock(),
        )
        if target.isa not in ISAS:
            raise self._error(f"'isa' is '{target.isa}', not one of {', '.join(ISAS)}")
        if (target.core == "host") != (target.memory is None):
            raise self._error("every target but the host's has a [memory] table, and only it")
        if target.memory is not None:
            for key, room in (("ram", target.memory.ram), ("flash", target.memory.flash)):
                if getattr(target, key) > room.length:
                    raise self._error(f"the budget of '{key}' is larger than its region")
        return target

    def _memory(self) -> MemoryMap | None:
        table = self._table("memory", ("flash", "ram", "vectors"), optional=True)
        if not table:
            return None
        return MemoryMap(
            flash=self._region(table, "flash"),
            ram=self._region(table, "ram"),
            vectors=self._region(table, "vectors") if "vectors" in table else None,
        )

    def _region(self, table: Mapping[str, Any], key: str) -> Region:
        region = table.get(key)
        if not isinstance(region, dict):
            raise self._error(f"[memory] needs '{key}' with an origin and a length")
        self._only(region, f"'{key}'", ("origin", "length"))
        found = Region(self._bytes(region, "origin", 0), self._bytes(region, "length", 1))
        if found.origin % 8 or found.length % 8 or found.origin + found.length > 1 << 32:
            raise self._error(f"region '{key}' is not made of whole 8 bytes below 4 GiB")
        return found

    def _clock(self) -> int | None:
        value = self.table.get("clock_hz")
        if value is not None and (type(value) is not int or not 0 < value < 1 << 40):
            raise self._error("'clock_hz' is no number of hertz above 0")
        return value

    def _per_tick(self, emulator: Mapping[str, Any]) -> float:
        value = emulator.get("instructions_per_tick", 0)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._error("'instructions_per_tick' is not a number")
        if not 0 <= value < 256 or value * 4 % 1:
            raise self._error("'instructions_per_tick' is not a multiple of 0.25 below 256")
        return float(value)

    def _table(self, key: str, keys: tuple[str, ...], optional: bool = False) -> dict[str, Any]:
        table = self.table.get(key, {} if optional else None)
        if not isinstance(table, dict):
            raise self._error(f"the table [{key}] is missing")
        self._only(table, f"[{key}]", keys)
        return table

    def _only(self, table: Mapping[str, Any], what: str, keys: tuple[str, ...]) -> None:
        for key in table:
            if key not in keys:
                raise self._error(f"{what} holds '{key}', which is not one of {', '.join(keys)}")

    def _text(self, table: Mapping[str, Any], key: str) -> str:
        value = table.get(key)
        if not isinstance(value, str) or not value:
            raise self._error(f"'{key}' is missing or is no text")
        return value

    def _texts(self, key: str) -> tuple[str, ...]:
        values = self.table.get(key)
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise self._error(f"'{key}' is missing or is no list of texts")
        return tuple(values)

    def _bytes(self, table: Mapping[str, Any], key: str, least: int) -> int:
        value = table.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise self._error(f"'{key}' is missing or is no number of bytes from {least} on")
        return value

    def _error(self, what: str) -> UsageError:
        return UsageError(f"the target is not complete or not valid: {what}", where=self.where)
