"""Files of older formats, and how they are written anew.

Format 1 had samples in front of what `state` has now, and in tt_saved_step a seed in the place of
the compiled rate. Header and checksum were the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from tinytrain.errors import DataError, Where
from tinytrain.saved_file import (
    ANOTHER_COPY,
    SavedParameters,
    crc_of,
    defined,
    layout,
    read_saved,
    samples_bytes,
    take_part,
)


@dataclass(frozen=True, kw_only=True)
class OldFile(SavedParameters):
    """The parts of a file of this format or an older one; `format` says which."""

    format: int


def read_old(data: bytes, where: Where | None = None) -> OldFile:
    """Take a file of any format apart; errors are said to be at `where`.

    Raises:
        DataError: as `read_saved`.
    """
    header = layout("tt_saved_header")
    is_learned = data.startswith(defined("TT_FILE_MAGIC").encode()) and len(data) >= header.nbytes
    if not is_learned or header.unpack(data)["format"] != 1:
        found = read_saved(data, where)
        return OldFile(**vars(found), format=int(defined("TT_FILE_FORMAT")))
    held, payload, behind = take_part(data, "the saved parameters", where, version=1)
    if behind:
        raise DataError(
            "the saved parameters do not have the size they state", where=where, help=ANOTHER_COPY
        )
    weights = held["weights_size"]
    return OldFile(
        model_hash=held["model_hash"],
        weights=payload[:weights],
        state=payload[weights:],
        format=1,
    )


def write_saved(found: OldFile, samples: int, compiled_rate: float) -> bytes:
    """The file in this format, with that of its samples behind it.

    Args:
        samples: bytes of a file of samples of the same model; 0 if it has none.
        compiled_rate: learning rate of that model, over the accumulation window; a file of format
            1 does not say it.
    """
    state, held = found.state, found.samples
    if found.format == 1:
        inner = samples - samples_bytes(0) if samples else 0
        held, state = state[:inner], state[inner:]
        of_step = layout("tt_saved_step")
        step = {**of_step.unpack(state[-of_step.nbytes :]), "compiled_rate": compiled_rate}
        state = state[: -of_step.nbytes] + of_step.pack(**step)
    written = _file("TT_FILE_MAGIC", found.model_hash, found.weights + state, len(found.weights))
    return written + (_file("TT_SAMPLES_MAGIC", found.model_hash, held, 0) if held else b"")


def _file(magic: str, model_hash: bytes, payload: bytes, weights: int) -> bytes:
    header = layout("tt_saved_header").pack(
        magic=defined(magic).encode(),
        format=int(defined("TT_FILE_FORMAT")),
        model_hash=model_hash,
        payload_size=len(payload),
        weights_size=weights,
    )
    return header + payload + crc_of(header + payload)
