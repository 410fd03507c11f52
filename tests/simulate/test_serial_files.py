"""Files over a serial line: what a program can ask for, and what a hostile one cannot."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tinytrain.simulation.serial_files import SerialFiles

OPEN, CLOSE, WRITE0, WRITE, READ, SEEK, EXIT = 1, 2, 4, 5, 6, 10, 32
FAILED = 0xFFFFFFFF


def call(operation: int, a: int = 0, b: int = 0, data: bytes = b"") -> bytes:
    return struct.pack("<BB3I", 0x1E, operation, a, b, len(data)) + data


def asked(files: SerialFiles, *calls: bytes) -> tuple[int, ...]:
    """The words that answer calls, one each."""
    assert files.feed(b"".join(calls)) == b""
    words = struct.unpack(f"<{len(calls)}I", files.answer)
    files.answer.clear()
    return words


def test_files_are_written_read_and_sought(tmp_path: Path) -> None:
    files = SerialFiles(tmp_path)
    (handle,) = asked(files, call(OPEN, 7, data=b"out.bin"))
    assert asked(files, call(WRITE, handle, data=b"abcdef"), call(SEEK, handle, 2)) == (0, 0)
    files.feed(call(READ, handle, 3))
    assert files.answer == struct.pack("<I", 0) + b"cde"
    files.answer.clear()
    files.feed(call(READ, handle, 3))
    assert files.answer == struct.pack("<I", 2) + b"f"
    files.answer.clear()
    assert asked(files, call(CLOSE, handle), call(CLOSE, handle)) == (0, FAILED)
    assert (tmp_path / "out.bin").read_bytes() == b"abcdef"


def test_text_comes_apart_from_errors_and_ends_with_a_code(tmp_path: Path) -> None:
    files = SerialFiles(tmp_path)
    (console,) = asked(files, call(OPEN, 4, data=b":tt"))
    whole = b"noise" + call(WRITE, console, data=b"line\n") + call(WRITE0, data=b"fault")
    text = b"".join(files.feed(bytes([byte])) for byte in whole + call(EXIT, 0x20026, 99))
    assert text == b"noiseline\n"
    assert (bytes(files.errors), files.code) == (b"fault", 99)
    assert files.feed(b"after the end") == b""


@pytest.mark.parametrize(
    "name", [b"/etc/passwd", b"../up", b"a/b", b"", b".hidden", b"x" * 65, b"a\0b", b"\xff"]
)
def test_nothing_outside_the_folder_is_reached(name: bytes, tmp_path: Path) -> None:
    files = SerialFiles(tmp_path / "inside")
    (tmp_path / "inside").mkdir()
    for mode in (1, 7):
        assert asked(files, call(OPEN, mode, data=name)) == (FAILED,)
    assert [file.name for file in tmp_path.rglob("*")] == ["inside"]


def test_bad_handles_modes_and_calls_are_refused(tmp_path: Path) -> None:
    files = SerialFiles(tmp_path)
    (tmp_path / "in.bin").write_bytes(b"x")
    assert asked(files, call(OPEN, 3, data=b"in.bin"), call(OPEN, 1, data=b"none")) == (FAILED,) * 2
    assert asked(files, call(WRITE, 9, data=b"abc"), call(READ, 9, 5), call(SEEK, 9)) == (
        3,
        5,
        FAILED,
    )
    (reading,) = asked(files, call(OPEN, 1, data=b"in.bin"))
    assert asked(files, call(WRITE, reading, data=b"abc")) == (3,)
    # No call at all: what it begins with is text.
    assert files.feed(struct.pack("<BB3I", 0x1E, 77, 0, 0, 0)).startswith(b"\x1eM")
    assert files.feed(struct.pack("<BB3I", 0x1E, WRITE, 0, 0, 1 << 30)).startswith(b"\x1e")
    files.close()
