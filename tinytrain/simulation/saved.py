"""The file of trained parameters that a model saves and loads."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from tinytrain.errors import DataError, Where

HEADER = struct.Struct("<4sI32sII")
"""Magic, format, model hash, payload size, weights size."""


@dataclass(frozen=True)
class SavedParameters:
    """The parts of a saved file.

    Attributes:
        model_hash: 32 bytes, the same for files that one compiled model can load.
        weights: all trainable parameters in manifest order.
        state: the rest of what a step changes.
    """

    model_hash: bytes
    weights: bytes
    state: bytes


def read_saved(data: bytes, where: Where | None = None) -> SavedParameters:
    """Take a saved file apart; errors are said to be at `where`.

    Raises:
        DataError: it is cut short, damaged or something else altogether.
    """
    if len(data) < HEADER.size + 4 or data[:4] != b"TTRN":
        raise DataError("the file holds no saved parameters", where=where)
    _, version, model_hash, payload_size, weights_size = HEADER.unpack_from(data)
    if version != 1:
        raise DataError(
            f"the saved parameters have format {version}, but this version reads format 1",
            where=where,
        )
    if len(data) != HEADER.size + payload_size + 4 or weights_size > payload_size:
        raise DataError("the saved parameters do not have the size they state", where=where)
    (crc,) = struct.unpack_from("<I", data, len(data) - 4)
    if zlib.crc32(data[:-4]) != crc:
        raise DataError("the saved parameters are damaged: their checksum is wrong", where=where)
    payload = data[HEADER.size : -4]
    return SavedParameters(model_hash, payload[:weights_size], payload[weights_size:])
