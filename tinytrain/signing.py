"""Signed files for `tt_signed.h`: what a server sends to its devices, signed with Ed25519 by COSE.

A signed file is the file, its counter, a mark, and the tag: the signature of the COSE_Sign1 message
(RFC 9052, section 4.2) whose payload is the SHA-512 of all bytes before the tag, whose protected
header is {1: -8}, and which has no external data. So a device needs no CBOR: what is signed is one
constant prefix and 64 bytes.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinytrain.errors import DataError, UsageError, Where
from tinytrain.option import FILE, GENERAL, INTEGER, SWITCH, Option
from tinytrain.output_file import check_writable, write_file
from tinytrain.saved_file import file_bytes, read_saved, signed_magic, without_samples
from tinytrain.tools import how_to_get

PARAMETERS = (
    Option(
        "a saved file, or with --check a signed one", GENERAL, "file", FILE,
        metavar="FILE", positional=True, required=True,
    ),
    Option(
        "key for Ed25519 in a PEM file: the private one, or with --check the public one",
        GENERAL, "key", FILE, metavar="KEY.pem", required=True,
    ),
    Option(
        "of the file: higher than that of any file that devices are to refuse from now on",
        GENERAL, "counter", INTEGER, None, low=0, high=2**32 - 1, metavar="N",
    ),
    Option("verify the file, whose counter has to be N or more", GENERAL, "check", SWITCH, False),
    Option(
        "the signed file; with --check, the file without its signature", GENERAL, "output", FILE,
        metavar="FILE", short="-o",
    ),
)  # fmt: skip
"""What `sign` takes."""

_TRAILER = struct.Struct("<I4s")
_PROTECTED = b"\xa1\x01\x27"
_TAG = 64


@dataclass(frozen=True)
class SignedFile:
    """A signed file that was written or verified.

    Attributes:
        path: of the file that was written; with `check` and no `output`, of the one that was read.
        counter: of the file.
        nbytes: its size with counter, mark and tag.
        public_key: 32 bytes, as a device has them.
        left_out: bytes of samples of a replay buffer, which are nobody else's and were not signed.
    """

    path: Path
    counter: int
    nbytes: int
    public_key: bytes
    left_out: int = 0


def sign(
    file: str | Path,
    *,
    key: str | Path,
    counter: int | None = None,
    check: bool = False,
    output: str | Path | None = None,
) -> SignedFile:
    """Signs a saved file for devices that take only what is signed, or verifies one.

    Args:
        file: saved parameters; with `check` a signed file.
        key: PEM file of an Ed25519 key: the private one, or with `check` the public one.
        counter: of the file, 0 to 2^32 - 1; with `check` the least that is accepted, 0 by default.
        check: whether to verify.
        output: the signed file; with `check` the saved one in it, if it is wanted.

    Raises:
        UsageError: an argument is missing, the key is none, or a file cannot be written: one that
            is read is never overwritten.
        DataError: the file cannot be read, is not what it should be, or its tag is wrong.
    """
    if not check and (counter is None or output is None):
        missing = "--counter" if counter is None else "--output"
        raise UsageError(f"signing needs {missing}", help=f"add {missing}, or --check to verify")
    if output is not None:
        check_writable(Path(output), key, file)
    cose_key = _read_key(key, private=not check)
    public = bytes(cose_key.to_dict()[-2])
    where = Where(str(file))
    held = file_bytes(
        file, "the file", "name a file that `simulate --save` wrote, or one that is signed"
    )
    if check:
        found, told = verified(held, cose_key, counter or 0, where)
        if output is not None:
            write_file(Path(output), found)
        return SignedFile(Path(output or file), told, len(held), public)
    assert counter is not None and output is not None
    read_saved(held, where)
    learned = without_samples(held)
    made = signed(learned, cose_key, counter)
    write_file(Path(output), made)
    return SignedFile(Path(output), counter, len(made), public, len(held) - len(learned))


def signed(held: bytes, key: Any, counter: int) -> bytes:
    """A file with its counter, mark and tag; `key` is a `cwt.COSEKey`."""
    cwt, cbor2 = _libraries()
    body = held + _TRAILER.pack(counter, signed_magic())
    message = cwt.COSE.new(alg_auto_inclusion=True).encode(hashlib.sha512(body).digest(), key)
    protected, _, _, tag = cbor2.loads(message).value
    assert protected == _PROTECTED and len(tag) == _TAG
    return body + bytes(tag)


def verified(held: bytes, key: Any, least: int, where: Where | None = None) -> tuple[bytes, int]:
    """The file in a signed one, and its counter.

    Raises:
        DataError: it has no tag, or a wrong one, or its counter is below `least`.
    """
    cwt, cbor2 = _libraries()
    body, tag = held[:-_TAG], held[-_TAG:]
    if len(body) < _TRAILER.size or not body.endswith(signed_magic()):
        raise DataError("the file is not signed", where=where, help="sign it with `tinytrain sign`")
    counter: int = _TRAILER.unpack(body[-_TRAILER.size :])[0]
    message = [_PROTECTED, {}, hashlib.sha512(body).digest(), tag]
    try:
        cwt.COSE.new().decode(cbor2.dumps(cbor2.CBORTag(18, message)), key)
    except cwt.VerifyError as error:
        raise DataError(
            "the signature is wrong: the file was changed, or signed with another key",
            where=where,
            help="take it again from where it was signed, or name the public key of who signed it",
        ) from error
    if counter < least:
        raise DataError(
            f"the file is too old: its counter is {counter}, and {least} is the least",
            where=where,
            help="take a newer file",
        )
    return body[: -_TRAILER.size], counter


def _read_key(path: str | Path, *, private: bool) -> Any:
    """A `cwt.COSEKey`."""
    cwt, _ = _libraries()
    kind = "private" if private else "public"
    where = Where(str(path))
    way_out = (
        "openssl genpkey -algorithm ed25519 makes a private key, and openssl pkey -pubout its "
        "public one"
    )
    try:
        key = cwt.COSEKey.from_pem(Path(path).read_bytes())
    except OSError as error:
        raise UsageError(
            f"the key cannot be read: {error.strerror}", where=where, help=way_out
        ) from error
    # What a library makes of a file that is no key is its own.
    except Exception as error:
        raise UsageError(
            "the file holds no PEM key without a password", where=where, help=way_out
        ) from error
    known = key.to_dict()
    # OKP and Ed25519 in COSE's registries; -4 is the private part.
    if known.get(1) != 1 or known.get(-1) != 6 or (private and -4 not in known):
        raise UsageError(f"the file holds no {kind} Ed25519 key", where=where, help=way_out)
    return key


def _libraries() -> tuple[Any, Any]:
    try:
        import cbor2
        import cwt
    except ImportError as error:
        raise UsageError(
            "the package cwt is missing, which signs and verifies", help=how_to_get("cwt")
        ) from error
    return cwt, cbor2
