"""Reads a target from its TOML file, and refuses what does not fit together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinytrain import resources
from tinytrain.errors import UsageError, Where
from tinytrain.isa import ISAS
from tinytrain.target.architecture import ARCHITECTURES, Architecture, architecture_of
from tinytrain.target.runner import RUNNERS, runner_named
from tinytrain.target.target import BoardFacts, MemoryMap, Region, Serial, Target
from tinytrain.toml_reader import read_toml


def read_target(file: Path, name: str) -> Target:
    """The target that a TOML file describes.

    Args:
        name: what it is called.

    Raises:
        UsageError: the file cannot be read, lacks something or holds something unknown.
    """
    where = Where(str(file))
    table = read_toml(
        file,
        where=where,
        unreadable="the target file cannot be read",
        malformed="the target file is not TOML",
    )
    return _Reader(table, where).target(name)


_KEYS = tuple(
    "description core compiler cflags isa clock_hz files".split()
    + "budget memory serial emulator board".split()
)


@dataclass(frozen=True)
class _Reader:
    """Turns a table into a `Target`, refusing every entry that it does not know."""

    table: Mapping[str, Any]
    where: Where

    def target(self, name: str) -> Target:
        self._only(self.table, "the file", _KEYS)
        budget = self._table("budget", ("ram", "flash"))
        emulator = self._table("emulator", ("machine", "instructions_per_tick"), optional=True)
        core, serial = self._text(self.table, "core"), self._serial()
        target = Target(
            name=name,
            description=self._text(self.table, "description"),
            core=core,
            architecture=self._architecture(core),
            compiler=self._text(self.table, "compiler"),
            cflags=self._texts("cflags"),
            isa=self._text(self.table, "isa"),
            ram=self._bytes(budget, "ram", 1),
            flash=self._bytes(budget, "flash", 1),
            memory=self._memory(),
            machine=self._text(emulator, "machine") if emulator else None,
            instructions_per_tick=self._per_tick(emulator),
            clock_hz=self._clock(),
            serial=serial,
            files_over_serial=self._over_serial(serial),
            board=self._board(),
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
        table = self._table("memory", ("flash", "ram", "vectors", "boot"), optional=True)
        if not table:
            return None
        return MemoryMap(
            flash=self._region(table, "flash"),
            ram=self._region(table, "ram"),
            vectors=self._region(table, "vectors") if "vectors" in table else None,
            boot=self._region(table, "boot") if "boot" in table else None,
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

    def _architecture(self, core: str) -> Architecture:
        found = architecture_of(core)
        if found is None:
            begins = ", ".join(f"'{one.prefix}'" for one in ARCHITECTURES)
            raise self._error(f"'core' is '{core}', which begins with none of {begins}")
        return found

    def _serial(self) -> Serial | None:
        table = self._table("serial", ("uart", "clock", "settings"), optional=True)
        if not table:
            return None
        uart, settings = self._kind(table, "uart", "uart/uart_"), table.get("settings")
        if not isinstance(settings, dict) or not all(map(_is_word, settings.values())):
            raise self._error("'settings' of [serial] is no table of numbers from 0 to 2^32 - 1")
        clock = self._kind(table, "clock", "link/clock_") if "clock" in table else ""
        return Serial(uart, settings, clock)

    def _kind(self, table: Mapping[str, Any], key: str, files: str) -> str:
        """What one of the files of `targets/` that begin so is for."""
        kind, names = self._text(table, key), resources.folder("targets") / files
        found = names.parent.glob(f"{names.name}*.c")
        known = sorted(file.stem.removeprefix(names.name) for file in found)
        if kind not in known:
            raise self._error(f"'{key}' is '{kind}', not one of {', '.join(known)}")
        return kind

    def _over_serial(self, serial: Serial | None) -> bool:
        files = self.table.get("files", "debugger")
        if files not in ("debugger", "serial"):
            raise self._error(f"'files' is {files!r}, not one of 'debugger', 'serial'")
        if files == "serial" and serial is None:
            raise self._error("'files' is 'serial', which needs a [serial] table")
        return bool(files == "serial")

    def _board(self) -> BoardFacts | None:
        table = self._table("board", ("name", "port", "chip", "runners"), optional=True)
        if not table:
            return None
        runners = table.get("runners", {})
        if not isinstance(runners, dict):
            raise self._error("[board.runners] is no table")
        for runner, chip in runners.items():
            if runner_named(runner) is None:
                known = ", ".join(one.name for one in RUNNERS)
                raise self._error(f"[board.runners] holds '{runner}', which is not one of {known}")
            if not isinstance(chip, str):
                raise self._error(f"'{runner}' of [board.runners] is no text")
        chip = self._text(table, "chip") if "chip" in table else ""
        chips = resources.folder("targets") / "chips"
        if chip and not (chips / chip).is_dir():
            raise self._error(f"there is nothing for 'chip' '{chip}'")
        return BoardFacts(self._text(table, "name"), self._text(table, "port"), runners, chip)

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


def _is_word(value: object) -> bool:
    """Whether a setting is what a register holds."""
    return type(value) is int and 0 <= value < 1 << 32
