"""Sizes of a linked program, section by section, read from its ELF file."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from tinytrain.errors import ToolchainError, Where

# ELF specification, "sections": the types and flags that matter here.
_NOBITS = 8
_WRITE, _ALLOC, _EXECUTE = 1, 2, 4


@dataclass(frozen=True)
class Section:
    """A section that takes memory when the program runs.

    Attributes:
        name: as in the file (`.text`).
        kind: "text" (code), "rodata" (constants), "data" (initialised state) or "bss" (zeroed).
        address: where it lies when the program runs.
        size: in bytes.
    """

    name: str
    kind: str
    address: int
    size: int


@dataclass(frozen=True)
class Sizes:
    """Bytes of a program by kind; `sections` lists what they are the sums of."""

    text: int
    rodata: int
    data: int
    bss: int
    sections: tuple[Section, ...]

    @property
    def flash(self) -> int:
        """What is stored: code, constants and the initial values of `data`."""
        return self.text + self.rodata + self.data

    @property
    def ram(self) -> int:
        """Static state; the stack comes on top."""
        return self.data + self.bss


def measure(executable: Path) -> Sizes:
    """Read the sizes of a linked program.

    Raises:
        ToolchainError: the file is no ELF file, or is cut short.
    """
    try:
        sections = tuple(_sections(executable.read_bytes()))
    except OSError as error:
        raise ToolchainError(
            f"the program cannot be read: {error.strerror}", where=Where(str(executable))
        ) from None
    except (ValueError, struct.error, IndexError) as error:
        raise ToolchainError(
            f"the program is no ELF file that can be measured: {error}",
            where=Where(str(executable)),
        ) from None
    total = {"text": 0, "rodata": 0, "data": 0, "bss": 0}
    for section in sections:
        total[section.kind] += section.size
    return Sizes(**total, sections=sections)


def _sections(blob: bytes) -> list[Section]:
    if blob[:4] != b"\x7fELF":
        raise ValueError("it does not begin with ELF's mark")
    wide, order = blob[4] == 2, "<" if blob[5] == 1 else ">"
    # Header fields e_shoff, e_shentsize, e_shnum, e_shstrndx, then sh_name to sh_size.
    (table,) = struct.unpack_from(order + ("Q" if wide else "I"), blob, 40 if wide else 32)
    entry, count, names_at = struct.unpack_from(order + "HHH", blob, 58 if wide else 46)
    layout = order + ("IIQQQQ" if wide else "IIIIII")
    headers = [struct.unpack_from(layout, blob, table + entry * i) for i in range(count)]
    names = headers[names_at][4]
    found = []
    for name_at, type_, flags, address, _, size in headers:
        if flags & _ALLOC and size:
            start = names + name_at
            name = blob[start : blob.index(b"\0", start)].decode("ascii", "replace")
            found.append(Section(name, _kind(type_, flags), address, size))
    return found


def _kind(type_: int, flags: int) -> str:
    if type_ == _NOBITS:
        return "bss"
    if flags & _EXECUTE:
        return "text"
    return "data" if flags & _WRITE else "rodata"
