"""Serves the files of a program at the other end of a serial line (`semihosting_uart.c`)."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

CALL = 0x1E
"""The byte that a call begins with."""

_HEADER = struct.Struct("<BB3I")
_WORD = struct.Struct("<I")
_FAILED = 0xFFFF_FFFF
_OPEN, _CLOSE, _WRITE0, _WRITE, _READ, _SEEK, _EXIT = 1, 2, 4, 5, 6, 10, 32
_CONSOLE = 1
# Of C's fopen, by semihosting's numbers: what the ports ask for.
_MODES = {1: "rb", 7: "w+b"}
_MAX_BYTES = 1 << 28


@dataclass
class SerialFiles:
    """The files of one directory, for one run of a program.

    Nothing outside the directory can be reached: a name is a word, without folders.

    Attributes:
        directory: where the files lie.
        answer: bytes that the program waits for; whoever sends them empties it.
        errors: what the program said on standard error.
        code: its exit code; None while it runs.
    """

    directory: Path
    answer: bytearray = field(default_factory=bytearray)
    errors: bytearray = field(default_factory=bytearray)
    code: int | None = None
    _files: dict[int, FileIO] = field(default_factory=dict)
    _pending: bytearray = field(default_factory=bytearray)

    def feed(self, received: bytes) -> bytes:
        """Takes what came over the line.

        Returns:
            The program's standard output: what it printed, and what was said outside of calls.
        """
        self._pending += received
        text = bytearray()
        while self._pending and self.code is None:
            start = self._pending.find(CALL)
            if start:
                text += self._pending[: start if start > 0 else None]
                del self._pending[: start if start > 0 else None]
                continue
            if len(self._pending) < _HEADER.size:
                break
            _, operation, a, b, size = _HEADER.unpack_from(self._pending)
            end = _HEADER.size + size
            if operation not in _SERVED or size > _MAX_BYTES:
                # No call: a byte of something else, such as a line at the wrong speed.
                text += self._pending[:1]
                del self._pending[:1]
                continue
            if len(self._pending) < end:
                break
            data = bytes(self._pending[_HEADER.size : end])
            del self._pending[:end]
            if operation == _WRITE and a == _CONSOLE:
                text += data
            self._serve(operation, a, b, data)
        return bytes(text)

    def close(self) -> None:
        """Closes every file."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _serve(self, operation: int, a: int, b: int, data: bytes) -> None:
        if operation == _WRITE0:
            self.errors += data
        elif operation == _EXIT:
            self.code = b & 0xFF
        elif operation == _OPEN:
            self._say(self._open(data, a))
        elif operation == _CLOSE:
            file = self._files.pop(a, None)
            if file is not None:
                file.close()
            self._say(_FAILED if file is None else 0)
        elif operation == _WRITE:
            self._say(self._write(a, data))
        elif operation == _READ:
            self._read(a, b)
        else:
            self._say(self._seek(a, b))

    def _open(self, name: bytes, mode: int) -> int:
        if name == b":tt":
            return _CONSOLE
        if mode not in _MODES or not re.fullmatch(rb"\w[\w.-]{0,63}", name):
            return _FAILED
        try:
            # Unbuffered, so that a full disk is seen here and not when the file is closed.
            file = FileIO(self.directory / name.decode(), _MODES[mode])
        except OSError:
            return _FAILED
        handle = max(self._files, default=_CONSOLE) + 1
        self._files[handle] = file
        return handle

    def _write(self, handle: int, data: bytes) -> int:
        if handle == _CONSOLE:
            return 0
        try:
            return len(data) - (self._files[handle].write(data) or 0)
        except (KeyError, OSError):
            return len(data)

    def _read(self, handle: int, size: int) -> None:
        try:
            data = self._files[handle].read(min(size, _MAX_BYTES))
        except (KeyError, OSError):
            data = b""
        self._say(size - len(data))
        self.answer += data

    def _seek(self, handle: int, offset: int) -> int:
        try:
            self._files[handle].seek(offset)
        except (KeyError, OSError):
            return _FAILED
        return 0

    def _say(self, word: int) -> None:
        self.answer += _WORD.pack(word)


_SERVED = frozenset({_OPEN, _CLOSE, _WRITE0, _WRITE, _READ, _SEEK, _EXIT})
