"""The files of what was learned and of samples, as `runtime_c/include/tt_saved_file.h` has them.

Members and sizes stand in C alone, and are read from there. The reader knows structures of whole
numbers, floats, arrays of bytes and other such structures, each with a comment behind it; of a
structure in another one each member counts, under both names.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tinytrain import resources
from tinytrain.errors import DataError, InternalError, Where

PARTS = ("tt_saved_header", "tt_saved_scale", "tt_saved_step", "tt_saved_end")
"""The structures of a file, in its order; regions of the model stand behind the header."""

MIGRATE = "`tinytrain migrate` writes what they hold in this format"

_CODES = {"uint8_t": "s", "uint16_t": "H", "uint32_t": "I", "int32_t": "i", "float": "f"}
_MEMBER = re.compile(r"\s*(\w+) (\w+)(?:\[(\d+)\])?;\s*/\* (.*?) \*/", re.DOTALL)


@dataclass(frozen=True)
class Member:
    """A member of a structure.

    Attributes:
        name, c_type: as in C; an array has the type of its elements.
        count: elements of an array, 1 otherwise.
        offset: in bytes.
        text: its comment.
    """

    name: str
    c_type: str
    count: int
    offset: int
    text: str

    @property
    def code(self) -> str:
        """What `struct` calls it."""
        return f"{self.count}s" if self.c_type == "uint8_t" else _CODES[self.c_type]

    @property
    def nbytes(self) -> int:
        """Its size in bytes."""
        return struct.calcsize(f"<{self.code}")


@dataclass(frozen=True)
class Layout:
    """A structure that is written as it lies in memory: little endian, without gaps."""

    name: str
    members: tuple[Member, ...]

    @property
    def nbytes(self) -> int:
        """Its size in bytes."""
        return sum(member.nbytes for member in self.members)

    def pack(self, **values: Any) -> bytes:
        """The bytes of a structure with these members, each of which has to be there."""
        return self._struct.pack(*(values[member.name] for member in self.members))

    def unpack(self, data: bytes) -> dict[str, Any]:
        """The members of the structure that `data` begins with."""
        found = self._struct.unpack_from(data)
        return {member.name: value for member, value in zip(self.members, found, strict=True)}

    @property
    def _struct(self) -> struct.Struct:
        return struct.Struct("<" + "".join(member.code for member in self.members))


def layout(name: str, header: str = "tt_saved_file.h") -> Layout:
    """A structure of the runtime's C.

    Args:
        name: of the type.
        header: that declares it.

    Raises:
        InternalError: it is not there, or has members that this cannot read.
    """
    found = _layouts(header)
    if name not in found:
        raise InternalError(f"{header} declares no structure {name} that can be read")
    return found[name]


@cache
def _layouts(header: str) -> dict[str, Layout]:
    found: dict[str, Layout] = {}
    for body, name in re.findall(r"typedef struct \{(.*?)\n\} (\w+);", _text(header), re.DOTALL):
        declared = _MEMBER.findall(body)
        # Of a structure with members of other kinds nothing is known.
        is_known = all(c_type in _CODES or c_type in found for c_type, *_ in declared)
        if is_known and len(declared) == _without_comments(body).count(";"):
            found[name] = Layout(name, _members(declared, found))
    return found


def _members(
    declared: Sequence[tuple[str, str, str, str]], known: Mapping[str, Layout]
) -> tuple[Member, ...]:
    """Of one structure, from the type, name, length and comment of each."""
    members: list[Member] = []
    for c_type, name, count, text in declared:
        at, words = sum(member.nbytes for member in members), " ".join(text.split())
        if c_type in _CODES:
            members.append(Member(name, c_type, int(count or 1), at, words))
            continue
        for inner in known[c_type].members:
            text = f"{words}: {inner.text}"
            members.append(Member(f"{name}_{inner.name}", inner.c_type, inner.count, at, text))
            at += inner.nbytes
    return tuple(members)


def _without_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


@cache
def _text(header: str) -> str:
    return (resources.folder("runtime_c") / "include" / header).read_text(encoding="utf-8")


def defined(name: str, header: str = "tt_saved_file.h") -> str:
    """A constant of a header of the runtime."""
    match = re.search(rf'#define {name} "?(\w+?)"?U?\n', _text(header))
    if match is None:
        raise InternalError(f"{header} does not define {name}")
    return match[1]


def signed_magic() -> bytes:
    """The letters between a signed file and its tag."""
    return defined("TT_SIGNED_MAGIC", "tt_signed.h").encode()


def saved_bytes(regions: int, scales: int) -> int:
    """The size of a file of what was learned.

    Args:
        regions: bytes of all of its regions.
        scales: how many gradients have a scale of their own.
    """
    parts = layout("tt_saved_header"), layout("tt_saved_step"), layout("tt_saved_end")
    return sum(part.nbytes for part in parts) + regions + scales * layout("tt_saved_scale").nbytes


def samples_bytes(regions: int) -> int:
    """The size of a file of samples, with so many bytes of regions."""
    return layout("tt_saved_header").nbytes + regions + layout("tt_saved_end").nbytes


def crc_of(data: bytes) -> bytes:
    """What ends a file that holds these bytes before it."""
    return layout("tt_saved_end").pack(crc=zlib.crc32(data))


@dataclass(frozen=True)
class SavedParameters:
    """The parts of a saved file.

    Attributes:
        model_hash: 32 bytes, the same for files that one compiled model can load.
        weights: all trained parameters, in the manifest's order.
        state: the rest of what a step changes.
        samples: what the file of samples behind it holds; empty if there is none.
    """

    model_hash: bytes
    weights: bytes
    state: bytes
    samples: bytes = b""


ANOTHER_COPY = "take another copy of the file, or save it again"


def read_saved(data: bytes, where: Where | None = None) -> SavedParameters:
    """Take a file of what was learned apart, and one of samples behind it; errors are said to be
    at `where`.

    Raises:
        DataError: it is cut short, damaged or something else altogether.
    """
    header, magic = layout("tt_saved_header"), defined("TT_FILE_MAGIC").encode()
    if len(data) < header.nbytes or not data.startswith(magic):
        what = "the file holds no saved parameters"
        if data.startswith(defined("TT_SAMPLES_MAGIC").encode()):
            what += ", but samples alone"
        raise DataError(what, where=where)
    found, payload, behind = take_part(data, "the saved parameters", where)
    weights = found["weights_size"]
    samples = _samples(behind, found["model_hash"], where) if behind else b""
    return SavedParameters(found["model_hash"], payload[:weights], payload[weights:], samples)


def without_samples(data: bytes) -> bytes:
    """The file of what was learned that a sound file begins with."""
    *_, behind = take_part(data, "the saved parameters", None)
    return data[: len(data) - len(behind)]


def _samples(data: bytes, model_hash: bytes, where: Where | None) -> bytes:
    """The payload of a file of samples that lies behind one of what was learned."""
    if data[4:].startswith(signed_magic()):
        raise DataError(
            "the saved parameters are signed", where=where,
            help="`tinytrain sign FILE --check --key PUBLIC.pem -o PLAIN` takes them out",
        )  # fmt: skip
    if not data.startswith(defined("TT_SAMPLES_MAGIC").encode()):
        raise DataError(
            "the saved parameters do not have the size they state", where=where, help=ANOTHER_COPY
        )
    found, payload, behind = take_part(data, "the saved samples", where)
    if behind or found["weights_size"]:
        raise DataError(
            "the saved samples do not have the size they state", where=where, help=ANOTHER_COPY
        )
    if found["model_hash"] != model_hash:
        raise DataError("the saved samples and parameters are of two models", where=where)
    return payload


def take_part(
    data: bytes, name: str, where: Where | None, version: int | None = None
) -> tuple[dict[str, Any], bytes, bytes]:
    """Header and payload of the file that `data` begins with, and what lies behind it.

    Args:
        name: what errors call it.
        version: of its format; None for the present one.

    Raises:
        DataError: it is cut short, damaged or of another format.
    """
    header, end = layout("tt_saved_header"), layout("tt_saved_end")
    version = int(defined("TT_FILE_FORMAT")) if version is None else version
    if len(data) < header.nbytes + end.nbytes:
        raise DataError(f"{name} do not have the size they state", where=where, help=ANOTHER_COPY)
    found = header.unpack(data)
    if found["format"] != version:
        raise DataError(
            f"{name} have format {found['format']}, but this version reads format {version}",
            where=where,
            help=MIGRATE if found["format"] < version else None,
        )
    size = header.nbytes + found["payload_size"]
    if len(data) < size + end.nbytes or found["weights_size"] > found["payload_size"]:
        raise DataError(f"{name} do not have the size they state", where=where, help=ANOTHER_COPY)
    if zlib.crc32(data[:size]) != end.unpack(data[size:])["crc"]:
        raise DataError(
            f"{name} are damaged: their checksum is wrong", where=where, help=ANOTHER_COPY
        )
    return found, data[header.nbytes : size], data[size + end.nbytes :]


def saved_in(path: str | Path) -> bytes:
    """The bytes of a saved file, with those of samples behind it.

    Raises:
        DataError: it cannot be read, or is damaged.
    """
    where = Where(str(path))
    saved = file_bytes(path, "the saved parameters")
    read_saved(saved, where)
    return saved


def file_bytes(path: str | Path, name: str, help: str | None = None) -> bytes:
    """What a file holds.

    Args:
        name: what the error calls it.
        help: what the error says of the way out.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except (OSError, TypeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"{name} cannot be read: {reason}", where=Where(str(path)), help=help
        ) from error
