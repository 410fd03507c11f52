"""Frames of the link: a header, a body and a CRC, encoded by COBS between two zeros."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tinytrain.link.table import END, HEADER


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        sequence: of the question, 0 to 2^32 - 1.
        type: of the message; of an answer with `table.ANSWER` added.
        status: 0, or why the question was refused.
        body: its bytes.
    """

    sequence: int
    type: int
    status: int
    body: bytes

    def encoded(self) -> bytes:
        """As it goes over the line."""
        header = HEADER.pack(
            sequence=self.sequence,
            type=bytes([self.type]),
            status=bytes([self.status]),
            size=len(self.body),
        )
        plain = header + self.body
        end = END.pack(crc=zlib.crc32(plain))
        return b"\0" + bytes(_cobs().encode(plain + end)) + b"\0"


def decoded(data: bytes) -> Frame | None:
    """The frame between two zeros; None where it is none, or damaged."""
    cobs = _cobs()
    try:
        plain = bytes(cobs.decode(data))
    except cobs.DecodeError:
        return None
    if len(plain) < HEADER.nbytes + END.nbytes:
        return None
    found, body = HEADER.unpack(plain), plain[HEADER.nbytes : -END.nbytes]
    crc = zlib.crc32(plain[: -END.nbytes])
    if found["size"] != len(body) or END.unpack(plain[-END.nbytes :])["crc"] != crc:
        return None
    return Frame(found["sequence"], found["type"][0], found["status"][0], body)


def _cobs() -> Any:
    """The package, which is imported where a board is spoken to and nowhere else."""
    from cobs import cobs

    return cobs


class FrameReader:
    """Takes a stream apart.

    Attributes:
        damaged: pieces between zeros that were no frames.
    """

    def __init__(self) -> None:
        self.damaged = 0
        self._rest = bytearray()

    def frames(self, data: bytes) -> Iterator[Frame]:
        """The frames that these bytes complete."""
        self._rest += data
        *pieces, rest = self._rest.split(b"\0")
        self._rest = bytearray(rest[-_LONGEST:])
        for piece in pieces:
            if not piece:
                continue
            frame = decoded(bytes(piece))
            if frame is None:
                self.damaged += 1
            else:
                yield frame


_LONGEST = 1 << 17
"""Bytes without a zero that are kept: no frame is as long."""
