"""The bytes of a saved file, written down once more: the format does not change by accident."""

from __future__ import annotations

import struct
import zlib

FORMAT = 2
"""Of the files that are written."""

HEADER = struct.Struct("<4sI32sII")
"""Magic, format, model hash, payload size, weights size."""

SCALE = struct.Struct("<iI")
"""Exponent, running maximum."""

STEP = struct.Struct("<ffI")
"""Learning rate, that of the firmware, count."""


def a_saved_file(weights: bytes = bytes(range(40))) -> bytes:
    """A sound one of no model in particular, without scales."""
    rest = STEP.pack(0.01, 0.01, 3)
    size = len(weights) + len(rest)
    return with_crc(HEADER.pack(b"TTRN", FORMAT, bytes(32), size, len(weights)) + weights + rest)


def with_crc(data: bytes) -> bytes:
    """With the checksum behind it."""
    return data + struct.pack("<I", zlib.crc32(data))
