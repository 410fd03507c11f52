"""What a board takes whose link is locked: parameters in a signed file, and nothing else."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tinytrain.errors import DataError
from tinytrain.saved_file import defined, layout, signed_magic

LOCKED = (
    "the board's link is locked: it takes parameters as signed files alone, trains on nothing that "
    "comes over the line, and reads out nothing that it learned"
)

_TRAILER = struct.Struct("<I4s")


@dataclass(frozen=True)
class Lock:
    """What a file needs that a board with a locked link takes.

    Attributes:
        least: the smallest counter that it accepts.
        tag: bytes of the tag of its MAC or signature.
    """

    least: int
    tag: int


def apart(data: bytes) -> tuple[bytes, bytes]:
    """The saved file that a signed one begins with, and the counter, mark and tag behind it; of a
    file that is not signed all of it, and nothing. Whether it is sound is not looked at."""
    header, end, at = layout("tt_saved_header"), layout("tt_saved_end"), 0
    for magic in ("TT_FILE_MAGIC", "TT_SAMPLES_MAGIC"):
        held = data[at:]
        if held.startswith(defined(magic).encode()) and len(held) >= header.nbytes:
            at += header.nbytes + int(header.unpack(held)["payload_size"]) + end.nbytes
    if not at or not data[at + 4 :].startswith(signed_magic()):
        return data, b""
    return data[:at], data[at:]


def check_signature(lock: Lock | None, signature: bytes) -> None:
    """Whether a board may take a file. The board alone says whether the tag is right.

    Args:
        lock: of its link; None without one.
        signature: counter, mark and tag of the file; empty where it is not signed.

    Raises:
        DataError: it takes no such file.
    """
    if lock is None and signature:
        raise DataError(
            "the saved parameters are signed, and the board's link has no lock: nobody would "
            "verify them",
            help="`tinytrain sign FILE --check --key PUBLIC.pem -o PLAIN` takes them out, or lock "
            "the link in the board's firmware",
        )
    if lock is None:
        return
    if not signature:
        raise DataError(
            "the board takes parameters as signed files alone, and this one is not signed",
            help=f"sign it: `tinytrain sign FILE --key KEY.pem --counter {lock.least} -o SIGNED`",
        )
    counter: int = _TRAILER.unpack_from(signature)[0]
    if len(signature) != _TRAILER.size + lock.tag:
        raise DataError(
            f"the file's tag has {len(signature) - _TRAILER.size} bytes, and the board's signer "
            f"takes {lock.tag}",
            help="sign it with what the board's firmware verifies; `tinytrain sign` makes Ed25519",
        )
    if counter < lock.least:
        raise DataError(
            f"the file is too old for the board: its counter is {counter}, and {lock.least} is the "
            "least",
            help="send a newer file; one that the board took already is old",
        )
