"""What is flashed, out of a linked program: a flat binary file, or UF2."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

from tinytrain.errors import ToolchainError, Where

_LOAD = 1
_MAX_BYTES = 1 << 26

# github.com/microsoft/uf2, "File format".
_BLOCK = struct.Struct("<8I476sI")
_MAGIC = (0x0A324655, 0x9E5D5157)
_MAGIC_END = 0x0AB16F30
_FAMILY_PRESENT = 0x2000
PAYLOAD = 256
"""Bytes of flash in a block of UF2."""


def segments(program: Path) -> list[tuple[int, bytes]]:
    """(address in flash, bytes) of what a program needs there, by address.

    Args:
        program: an ELF file of 32 bits, little endian.

    Raises:
        ToolchainError: it cannot be read, or is none.
    """
    try:
        data = program.read_bytes()
        if data[:6] != b"\x7fELF\x01\x01":
            raise ValueError("it is no ELF file of 32 bits")
        # e_phoff, then e_phentsize and e_phnum.
        (table,) = struct.unpack_from("<I", data, 28)
        entry, count = struct.unpack_from("<HH", data, 42)
        found = []
        for i in range(count):
            kind, at, _, address, size = struct.unpack_from("<5I", data, table + entry * i)
            if kind == _LOAD and size:
                if at + size > len(data):
                    raise ValueError("it is cut short")
                found.append((address, data[at : at + size]))
    except OSError as error:
        raise ToolchainError(
            f"the program cannot be read: {error.strerror}", where=Where(str(program))
        ) from None
    except (ValueError, struct.error) as error:
        raise ToolchainError(
            f"the program cannot be flashed: {error}", where=Where(str(program))
        ) from None
    if not found:
        raise ToolchainError(
            "the program cannot be flashed: it is empty", where=Where(str(program))
        )
    return sorted(found)


def flat(parts: Sequence[tuple[int, bytes]]) -> tuple[int, bytes]:
    """The lowest address, and all bytes from there on; gaps hold 0xFF, as flash that was erased.

    Raises:
        ToolchainError: the parts lie too far from each other to be of one flash.
    """
    first = parts[0][0]
    size = max(address + len(data) for address, data in parts) - first
    if size > _MAX_BYTES:
        raise ToolchainError(f"the program spans {size:,} bytes of addresses: that is no flash")
    image = bytearray(b"\xff" * size)
    for address, data in parts:
        image[address - first : address - first + len(data)] = data
    return first, bytes(image)


def uf2(parts: Sequence[tuple[int, bytes]], family: int) -> bytes:
    """The same as a UF2 file: blocks of 512 bytes, each with 256 bytes of flash and its address.

    Args:
        family: of chips, a number of the format's own list.
    """
    pages: dict[int, bytearray] = {}
    for start, data in parts:
        for at in range(0, len(data)):
            address = start + at
            page = pages.setdefault(address - address % PAYLOAD, bytearray(b"\xff" * PAYLOAD))
            page[address % PAYLOAD] = data[at]
    return b"".join(
        _BLOCK.pack(
            *_MAGIC,
            _FAMILY_PRESENT,
            address,
            PAYLOAD,
            number,
            len(pages),
            family,
            bytes(pages[address]),
            _MAGIC_END,
        )
        for number, address in enumerate(sorted(pages))
    )
