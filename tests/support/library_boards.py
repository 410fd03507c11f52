"""A board in this process, and a line to it that loses, repeats, cuts and changes bytes.

No time passes: where nothing comes the clock of the client goes on by what it would have waited.
"""

from __future__ import annotations

import ctypes
import hmac
import struct
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tinytrain.link.client import LinkClient
from tinytrain.manifest.interface import ModelInterface
from tinytrain.saved_file import signed_magic
from tinytrain.simulation.library_build import build_library

_READ = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
_WRITE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_LEFT = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p)
_BEGIN = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
_UPDATE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_TAG = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


class _Port(ctypes.Structure):
    """`tt_link_port` of tt_link.h."""

    _fields_ = (
        ("read", _READ),
        ("write", _WRITE),
        ("clock", _LEFT),
        ("clock_hz", ctypes.c_uint32),
        ("stack_used", _LEFT),
        ("context", ctypes.c_void_p),
    )


class _Signer(ctypes.Structure):
    """`tt_signer` of tt_signed.h."""

    _fields_ = (
        ("begin", _BEGIN),
        ("update", _UPDATE),
        ("sign", _TAG),
        ("verify", _TAG),
        ("context", ctypes.c_void_p),
        ("tag", ctypes.c_void_p),
        ("tag_size", ctypes.c_size_t),
    )


class _Lock(ctypes.Structure):
    """`tt_link_lock` of tt_link.h."""

    _fields_ = (
        ("signer", ctypes.POINTER(_Signer)),
        ("least", ctypes.c_uint32),
        ("end", ctypes.c_uint8 * (8 + 64)),
        ("load", ctypes.c_void_p),
    )


class Mac:
    """What locks a link: HMAC-SHA-256 with a key.

    Args:
        key: any bytes.
        tag: bytes of a tag.
    """

    def __init__(self, key: bytes = b"key", tag: int = 32) -> None:
        self._key = key
        self._tag = np.zeros(max(tag, 1), np.uint8)
        self._hash = hmac.new(key, digestmod="sha256")
        self.passes = 0
        self.lies_in: int | None = None
        self.calls = _Signer(
            _BEGIN(self._begin), _UPDATE(self._update), _TAG(0), _TAG(self._verify), None,
            self._tag.ctypes.data, tag,
        )  # fmt: skip

    def signed(self, data: bytes, counter: int) -> bytes:
        """A file with its counter, mark and tag."""
        body = data + struct.pack("<I4s", counter, signed_magic())
        return body + hmac.digest(self._key, body, "sha256")[: self._tag.size]

    def _begin(self, context: int) -> int:
        self._hash = hmac.new(self._key, digestmod="sha256")
        return 0

    def _update(self, context: int, data: int, size: int) -> int:
        self._hash.update(ctypes.string_at(data, size))
        return 0

    def _verify(self, context: int, tag: int) -> int:
        size, number = self._tag.size, self.passes
        self.passes += 1
        right = self._hash.digest()[:size]
        return int(number == self.lies_in or ctypes.string_at(tag, size) != right)


class LibraryBoard:
    """A model with its link, as C, whose bytes come and go in this process.

    Args:
        folder: compiled with --link.
        model: of the folder.
        cache: folder for objects.
    """

    def __init__(self, folder: Path, model: ModelInterface, cache: Path) -> None:
        self._functions = ctypes.CDLL(str(build_library(folder, model, cache)))
        self._model, self._name = model, model.name
        size = self._function("library_size", ctypes.c_size_t)()
        self._state = np.zeros(-(-size // 8), np.uint64)
        self._link = np.zeros(1 << 17, np.uint64)
        self._in: deque[int] = deque()
        self._out = bytearray()
        self._port = _Port(_READ(self._read), _WRITE(self._write), _LEFT(0), 0, _LEFT(0), None)
        self.reset()

    def reset(self) -> None:
        """As where power was gone."""
        self._in.clear()
        self._out.clear()
        state, link = (ctypes.c_void_p(one.ctypes.data) for one in (self._state, self._link))
        self._function("init")(state)
        self._function("link_init")(link, state, ctypes.byref(self._port))

    def set_lock(self, mac: Mac, least: int = 0) -> int:
        """Locks the link; gives what the C says to it. `least_counter` says how it goes on."""
        self._lock = _Lock(ctypes.pointer(mac.calls), least)
        link = ctypes.c_void_p(self._link.ctypes.data)
        self._mac = mac  # its callbacks
        return self._function("link_set_lock", ctypes.c_int)(link, ctypes.byref(self._lock))

    @property
    def least_counter(self) -> int:
        """That the lock accepts."""
        return int(self._lock.least)

    @property
    def receives(self) -> bool:
        """Whether a file is on its way."""
        link = ctypes.c_void_p(self._link.ctypes.data)
        return bool(self._function("link_receives", ctypes.c_int)(link))

    def saved(self) -> bytes:
        """What it learned, past the link."""
        replay = self._model.replay
        size = self._model.saved_bytes + (0 if replay is None else replay.samples_bytes)
        data = np.zeros(size, np.uint8)
        save = self._function("library_save", ctypes.c_int)
        at = (ctypes.c_void_p(one.ctypes.data) for one in (self._state, data))
        assert save(*at, ctypes.c_size_t(size)) == 0
        return data.tobytes()

    def take(self, data: bytes) -> bytes:
        """What it answers to these bytes."""
        self._in.extend(data)
        poll = self._function("link_poll", ctypes.c_int)
        while self._in:
            poll(ctypes.c_void_p(self._link.ctypes.data))
        answer = bytes(self._out)
        self._out.clear()
        return answer

    def memory(self) -> bytes:
        """Of the whole state, the arena included."""
        return self._state.tobytes()

    def _function(self, name: str, result: type | None = None) -> Callable[..., int]:
        function = getattr(self._functions, f"{self._name}_{name}")
        function.restype = result
        return function  # type: ignore[no-any-return]

    def _read(self, context: int) -> int:
        return self._in.popleft() if self._in else -1

    def _write(self, context: int, data: int, size: int) -> None:
        self._out += ctypes.string_at(data, size)


class BadLine:
    """A line to a board; every frame meets one of these ends with a chance of its own.

    Args:
        damage: the chance of each kind of damage, for a frame in either direction.
        seed: of what happens.
    """

    KINDS = ("lose", "cut", "flip", "drop a byte", "repeat", "replay an old one", "add noise")

    def __init__(self, board: LibraryBoard, damage: float, seed: int) -> None:
        self.board = board
        self.damage = damage
        self.is_cut = False
        self.now = 0.0
        self.done: dict[str, int] = dict.fromkeys(self.KINDS, 0)
        self._random = np.random.default_rng(seed)
        self._old: deque[bytes] = deque(maxlen=50)
        self._coming = bytearray()

    def client(self) -> LinkClient:
        """A host at the other end, with the time of this line."""
        return LinkClient(self, "the bad line", least_wait=0.05, clock=lambda: self.now)

    def write(self, data: bytes) -> None:
        if self.is_cut:
            return
        answer = self.board.take(self._hurt(data))
        self._coming += self._hurt(answer) if answer else b""

    def read(self, seconds: float) -> bytes:
        if not self._coming:
            self.now += seconds
            return b""
        self.now += 0.001
        found = bytes(self._coming)
        self._coming.clear()
        return found

    def close(self) -> None:
        pass

    def _hurt(self, data: bytes) -> bytes:
        self._old.append(data)
        for kind in self.KINDS:
            if self._random.random() < self.damage:
                self.done[kind] += 1
                data = self._hurt_by(kind, data)
        return data

    def _hurt_by(self, kind: str, data: bytes) -> bytes:
        if kind == "repeat":
            return data + data
        if kind == "replay an old one":
            return self._old[self._random.integers(len(self._old))] + data
        if kind == "add noise":
            return self._random.bytes(int(self._random.integers(1, 40))) + data
        if kind == "lose" or not data:
            return b""
        at = int(self._random.integers(len(data)))
        if kind == "cut":
            return data[:at]
        if kind == "flip":
            flipped = data[at] ^ (1 << int(self._random.integers(8)))
            return data[:at] + bytes([flipped]) + data[at + 1 :]
        return data[:at] + data[at + 1 :]
