"""`tinytrain sign`: what it signs verifies, and every way to be refused."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

import tinytrain
from tests.support.refusals import Refuse
from tests.support.saved_files import FORMAT, HEADER, a_saved_file, with_crc
from tinytrain.cli import main
from tinytrain.tools import tool_of

cwt = pytest.importorskip("cwt", reason="the package cwt is missing")

from cryptography.hazmat.primitives import serialization as pem  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519  # noqa: E402


def _write(place: Path, name: str, key: object, secret: bytes | None = None) -> None:
    how = pem.BestAvailableEncryption(secret) if secret else pem.NoEncryption()
    private = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, how)  # type: ignore[attr-defined]
    public = key.public_key().public_bytes(  # type: ignore[attr-defined]
        pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo
    )
    (place / f"{name}.pem").write_bytes(private)
    (place / f"{name}-public.pem").write_bytes(public)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, the working one, with a saved file and keys."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "saved.bin").write_bytes(a_saved_file())
    _write(tmp_path, "key", ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)))
    _write(tmp_path, "other", ed25519.Ed25519PrivateKey.from_private_bytes(b"1" * 32))
    _write(tmp_path, "ed448", ed448.Ed448PrivateKey.generate())
    _write(tmp_path, "p256", ec.generate_private_key(ec.SECP256R1()))
    _write(tmp_path, "secret", ed25519.Ed25519PrivateKey.generate(), b"word")
    tinytrain.sign("saved.bin", key="key.pem", counter=7, output="signed")
    return tmp_path


def test_signs_and_verifies(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sign", "saved.bin", "--key", "key.pem", "--counter", "7", "-o", "again"]) == 0
    shown = capsys.readouterr().out
    assert "counter" in shown and shown.endswith("215771de243a63ac048a18b59da29\n")
    signed = (place / "signed").read_bytes()
    assert (place / "again").read_bytes() == signed  # the same input gives the same bytes
    assert signed[: -8 - 64] == (place / "saved.bin").read_bytes()
    assert signed[-8 - 64 : -64] == b"\x07\0\0\0TTSG"
    command = ["sign", "signed", "--check", "--key", "key-public.pem", "--counter", "7", "--json"]
    assert main([*command, "-o", "taken"]) == 0
    told = json.loads(capsys.readouterr().out)
    public = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"
    expected = {"file": "taken", "counter": 7, "bytes": len(signed), "left_out": 0}
    assert told == {**expected, "public_key": public}
    assert (place / "taken").read_bytes() == (place / "saved.bin").read_bytes()


def test_samples_of_a_replay_buffer_are_not_sent(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = (place / "saved.bin").read_bytes()
    samples = with_crc(HEADER.pack(b"TTSM", FORMAT, bytes(32), 5, 0) + b"faces")
    (place / "both.bin").write_bytes(saved + samples)
    assert main(["sign", "both.bin", "--key", "key.pem", "--counter", "7", "-o", "x"]) == 0
    assert f"{len(samples)} bytes of samples" in capsys.readouterr().out
    assert (place / "x").read_bytes() == (place / "signed").read_bytes()


def test_every_other_byte_is_refused(place: Path) -> None:
    signed = (place / "signed").read_bytes()
    for at in (0, len(signed) // 2, len(signed) - 70, len(signed) - 66, len(signed) - 1):
        for size in (len(signed), at):
            wrong = bytearray(signed)
            wrong[at] ^= 1
            (place / "wrong").write_bytes(wrong[:size])
            with pytest.raises(tinytrain.DataError, match=r"signature is wrong|not signed"):
                tinytrain.sign("wrong", key="key-public.pem", check=True, output="taken")
            assert not (place / "taken").exists()


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        ("saved.bin --key key.pem -o x", 2, "signing needs --counter"),
        ("saved.bin --key key.pem --counter 1", 2, "signing needs --output"),
        ("saved.bin --key key.pem --counter -1 -o x", 2, "--counter"),
        ("saved.bin --key key.pem --counter 4294967296 -o x", 2, "--counter"),
        ("saved.bin --key none.pem --counter 1 -o x", 2, "the key cannot be read"),
        ("saved.bin --key saved.bin --counter 1 -o x", 2, "holds no PEM key"),
        ("saved.bin --key secret.pem --counter 1 -o x", 2, "holds no PEM key without a password"),
        ("saved.bin --key key-public.pem --counter 1 -o x", 2, "no private Ed25519 key"),
        ("saved.bin --key p256.pem --counter 1 -o x", 2, "no private Ed25519 key"),
        ("saved.bin --key ed448.pem --counter 1 -o x", 2, "no private Ed25519 key"),
        ("saved.bin --key key.pem --counter 1 -o none/x", 2, "cannot be written"),
        ("none.bin --key key.pem --counter 1 -o x", 4, "the file cannot be read"),
        ("signed --key key.pem --counter 1 -o x", 4, "the saved parameters are signed"),
        ("key.pem --key key.pem --counter 1 -o x", 4, "holds no saved parameters"),
        ("saved.bin --key key-public.pem --check", 4, "the file is not signed"),
        ("signed --key other-public.pem --check -o x", 4, "signed with another key"),
        ("signed --key key-public.pem --check --counter 8 -o x", 4, "its counter is 7, and 8 is"),
    ],
)
def test_refused(words: str, code: int, what: str, place: Path, refuse: Refuse) -> None:
    assert what in refuse(code, "sign", *words.split())


def test_without_the_package_it_says_what_to_install(
    place: Path, refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    for missing in ("cwt", "cbor2"):
        with monkeypatch.context() as without:
            without.setitem(sys.modules, missing, None)
            for words in (
                "saved.bin --key key.pem --counter 1 -o x",
                "signed --key key-public.pem --check -o x",
            ):
                assert refuse(2, "sign", *words.split()) == (
                    "the package cwt is missing, which signs and verifies\n"
                    "  help: pip install 'tinytrain[signing]'"
                )
    assert tool_of("cwt") is not None  # a row of doctor


def test_a_read_only_file_stays(
    place: Path, refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is replaced as a whole, which asks for nothing but its folder."""
    (place / "kept").write_bytes(b"mine")
    (place / "kept").chmod(0o400)
    may = os.access

    def access(path: Path, mode: int) -> bool:  # root may write everything
        return may(path, mode) and Path(path).name != "kept"

    monkeypatch.setattr("os.access", access)
    for words in (
        "saved.bin --key key.pem --counter 1 -o kept",
        "signed --key key-public.pem --check -o kept",
    ):
        assert "'kept' cannot be written: it is read-only" in refuse(2, "sign", *words.split())


def test_what_is_read_is_never_overwritten(place: Path, refuse: Refuse) -> None:
    (place / "link").symlink_to("key.pem")
    for words in (
        "saved.bin --key key.pem --counter 1 -o key.pem",
        "saved.bin --key key.pem --counter 1 -o link",
        "saved.bin --key key.pem --counter 1 -o saved.bin",
        "signed --key key-public.pem --check -o ./signed",
    ):
        assert "is read by this command" in refuse(2, "sign", *words.split())
    assert (place / "key.pem").read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
