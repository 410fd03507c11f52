"""Files that are damaged in any way are refused on the host, too, by one kind of error."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tests.support.saved_files import HEADER, STEP
from tinytrain.errors import DataError
from tinytrain.saved_file import SavedParameters, crc_of, read_saved
from tinytrain.saved_file_old import OldFile, read_old, write_saved

LEARNED = bytes(range(60, 120)) + STEP.pack(0.5, 0.25, 9)
EDITS = 5_000


def files() -> Iterator[tuple[str, bytes, Callable[[bytes], SavedParameters]]]:
    parts = {"model_hash": bytes(range(32)), "weights": LEARNED[:50], "state": LEARNED[50:]}
    yield "learned", write_saved(OldFile(**parts, format=2), 0, 0.0), read_saved
    both = write_saved(OldFile(**parts, samples=b"samples" * 9, format=2), 0, 0.0)
    yield "with samples", both, read_saved
    first = HEADER.pack(b"TTRN", 1, bytes(range(32)), len(LEARNED), 50) + LEARNED
    yield "format 1", first + crc_of(first), read_old


@pytest.mark.parametrize(
    ("kind", "data", "read"), list(files()), ids=[kind for kind, *_ in files()]
)
def test_damage_is_refused(
    kind: str, data: bytes, read: Callable[[bytes], SavedParameters]
) -> None:
    good = read(data)
    alone = len(data) if kind != "with samples" else 48 + len(LEARNED) + 4
    damaged = [data[:size] for size in range(len(data)) if size != alone]
    damaged += [flipped(data, bit) for bit in range(8 * len(data))]
    damaged += [data + b"x", data + data]
    damaged += [edited(data, seed) for seed in range(EDITS)]
    for given in damaged:
        if given != data:
            with pytest.raises(DataError):
                read(given)
    assert read(data) == good


def flipped(data: bytes, bit: int) -> bytes:
    found = bytearray(data)
    found[bit // 8] ^= 1 << bit % 8
    return bytes(found)


def edited(data: bytes, seed: int) -> bytes:
    """Bytes changed, taken out or put in, at 1 to 4 places."""
    rng, found = np.random.default_rng(seed), bytearray(data)
    for _ in range(rng.integers(1, 5)):
        at, size = int(rng.integers(len(found))), int(rng.integers(1, 9))
        new = rng.integers(0, 256, rng.integers(0, 9), np.uint8).tobytes()
        found[at : at + size] = new
    return bytes(found)
