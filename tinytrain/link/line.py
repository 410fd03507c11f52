"""The line to a board: bytes in and out, by pyserial."""

from __future__ import annotations

import errno
import importlib
import os
import socket
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from tinytrain.errors import ToolchainError, UsageError
from tinytrain.tools import how_to_get

PREFIX = "serial:"
"""What the name of an engine begins with that is a board at a port."""

BAUD = 115200
"""Bits a second where none are given."""

_RATE_DIGITS = 9


class ByteLine(Protocol):
    """A stream of bytes in both directions."""

    def read(self, seconds: float) -> bytes:
        """What has come, at least one byte; nothing where none comes within so many seconds."""
        ...

    def write(self, data: bytes) -> None:
        """Sends all of it."""
        ...

    def close(self) -> None:
        """Lets others have the line."""
        ...


class LineLost(Exception):
    """The line is gone: unplugged, or taken by another program."""


def open_line(port: str) -> ByteLine:
    """Opens a serial port.

    Args:
        port: a device such as `/dev/ttyACM0` or `COM3`, or a URL of pyserial such as
            `socket://localhost:1234`; `@9600` behind it is another rate than 115,200 bits a second.

    Raises:
        UsageError: there is no such port, it cannot be opened, or the rate is none.
        ToolchainError: pyserial or cobs is not installed.
    """
    name, at, rate = port.rpartition("@")
    if not at or not rate.isdecimal():
        name, rate = port, str(BAUD)
    _check_name(name)
    if int(rate[:_RATE_DIGITS]) == 0 or len(rate) > _RATE_DIGITS:
        raise UsageError(
            f"a line of 0 bits a second carries nothing: '{port}'"
            if not rate.strip("0")
            else f"no line carries so many bits a second: '{name}'",
            help=f"leave out @{rate} for {BAUD:,} bits a second",
        )
    serial = _libraries()
    try:
        made = serial.serial_for_url(name, baudrate=int(rate), timeout=0, exclusive=True)
    # SerialException is an OSError; what an option or a pattern in a URL raises is its own.
    except Exception as error:
        raise _unopened(name, error) from error
    return _SerialLine(made, name)


def check_device(port: str) -> None:
    """Refuses the path of a serial port that another program would not open either.

    Args:
        port: as another program takes it; what is no path is left to that one.

    Raises:
        UsageError: there is no such device, or this user may not use it.
    """
    if not port.startswith("/"):
        return
    for is_so, number in (
        (Path(port).exists(), errno.ENOENT),
        (os.access(port, os.R_OK | os.W_OK), errno.EACCES),
    ):
        if not is_so:
            raise _unopened(port, OSError(number, os.strerror(number)))


def _libraries() -> Any:
    """pyserial, where both packages are there that a line needs."""
    try:
        return [importlib.import_module(name) for name in ("cobs", "serial")][-1]
    except ImportError as error:
        package = "cobs" if error.name == "cobs" else "pyserial"
        raise ToolchainError(
            f"the package {package} is missing, which speaks to a serial line",
            help=how_to_get(package),
        ) from error


_NETWORK = ("socket", "rfc2217")
"""Schemes of pyserial's URLs that name a host and a port of it."""


def _check_name(name: str) -> None:
    """Refuses what pyserial would say nothing clear about."""
    if not name:
        raise UsageError("no serial port is named", help=_known_ports())
    scheme, is_url, _ = name.partition("://")
    if not is_url or scheme.lower() not in _NETWORK:
        return
    try:
        parts = urlsplit(name)
        is_whole = bool(parts.hostname and parts.port)
    except ValueError:  # a port that is no number, or too large
        is_whole = False
    if not is_whole:
        raise UsageError(
            f"'{name}' names no host with a port from 1 to 65535",
            help=f"write {scheme}://HOST:PORT, such as {scheme}://localhost:4000",
        )


def _unopened(name: str, error: Exception) -> UsageError:
    return UsageError(
        f"the serial port '{name}' cannot be opened: {_reason(error)}",
        help=_help(name, error),
    )


_BUSY = (errno.EAGAIN, errno.EBUSY)


def _reason(error: Exception) -> str:
    # Of a socket pyserial passes on the text alone.
    inner = error.__context__ if getattr(error, "errno", None) is None else None
    cause = inner if isinstance(inner, Exception) else error
    if isinstance(cause, socket.gaierror | UnicodeError):
        return "no such host is known"
    if isinstance(cause, TimeoutError):
        return "nothing answers there"
    if isinstance(cause, KeyError | TypeError):
        return "pyserial does not know an option of this URL"
    if isinstance(cause, OSError) and cause.errno in _BUSY:
        return "another program has it open"
    if os.strerror(errno.ENOTTY) in str(cause):
        return "it is no serial port"
    if isinstance(cause, OSError) and cause.errno is not None:
        return os.strerror(cause.errno)
    return str(error)


def _help(name: str, error: Exception) -> str:
    """What the user can do about a port that cannot be opened."""
    if isinstance(error, OSError) and error.errno in _BUSY:
        return "end it: a board speaks to one host at a time"
    if isinstance(error, OSError) and error.errno == errno.EACCES:
        return (
            "join the group that may use it (`ls -l` names it), such as dialout, and log in again"
        )
    scheme, is_url, _ = name.partition("://")
    if is_url and scheme.lower() in _NETWORK:
        return "start what listens there, and see that host and port are its own"
    if is_url:
        return "name a device such as /dev/ttyACM0 or COM3, or socket://HOST:PORT"
    return _known_ports()


def _known_ports() -> str:
    try:
        list_ports = importlib.import_module("serial.tools.list_ports")
    except ImportError:
        return "is the board plugged in?"
    found = sorted(port.device for port in list_ports.comports())
    if not found:
        return "no serial port is known here: is the board plugged in?"
    return f"serial ports that there are: {', '.join(found)}"


class _SerialLine:
    """A port of pyserial.

    Args:
        port: open, without a timeout.
        name: of it.
    """

    def __init__(self, port: Any, name: str) -> None:
        self._port = port
        self.name = name

    def read(self, seconds: float) -> bytes:
        try:
            self._port.timeout = seconds
            first = self._port.read(1)
            return bytes(first + self._port.read(self._port.in_waiting)) if first else b""
        except (OSError, TypeError) as error:
            raise LineLost(_lost(error)) from error

    def write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except (OSError, TypeError) as error:
            raise LineLost(_lost(error)) from error

    def close(self) -> None:
        self._port.close()


def _lost(error: Exception) -> str:
    """Why a line is gone that was open."""
    if isinstance(error, TypeError):
        return "it was closed while it was read"
    if "readiness to read" in str(error):  # pyserial's own sentence about it is a guess
        return "it was unplugged, or another program reads it, too"
    return _reason(error)
