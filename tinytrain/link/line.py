"""The line to a board: bytes in and out, by pyserial."""

from __future__ import annotations

import errno
import importlib
import os
from typing import Any, Protocol

from tinytrain.errors import ToolchainError, UsageError
from tinytrain.tools import how_to_get

PREFIX = "serial:"
"""What the name of an engine begins with that is a board at a port."""

BAUD = 115200
"""Bits a second where none are given."""


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
    if int(rate) == 0:
        raise UsageError(
            f"a line of 0 bits a second carries nothing: '{port}'",
            help=f"leave out @{rate} for {BAUD:,} bits a second",
        )
    try:
        serial = [importlib.import_module(name) for name in ("cobs", "serial")][-1]
    except ImportError as error:
        package = "cobs" if error.name == "cobs" else "pyserial"
        raise ToolchainError(
            f"the package {package} is missing, which speaks to a serial line",
            help=how_to_get(package),
        ) from error
    try:
        made = serial.serial_for_url(name, baudrate=int(rate), timeout=0, exclusive=True)
    except (OSError, ValueError) as error:  # SerialException is an OSError
        raise UsageError(
            f"the serial port '{name}' cannot be opened: {_reason(error)}",
            help=_help(error),
        ) from error
    return _SerialLine(made, name)


_BUSY = (errno.EAGAIN, errno.EBUSY)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in _BUSY:
        return "another program has it open"
    if os.strerror(errno.ENOTTY) in str(error):
        return "it is no serial port"
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return str(error)


def _help(error: Exception) -> str:
    """What the user can do about a port that cannot be opened."""
    if isinstance(error, OSError) and error.errno in _BUSY:
        return "end it: a board speaks to one host at a time"
    if isinstance(error, OSError) and error.errno == errno.EACCES:
        return (
            "join the group that may use it (`ls -l` names it), such as dialout, and log in again"
        )
    from serial.tools import list_ports

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
        except (OSError, TypeError) as error:  # TypeError: closed while it reads
            raise LineLost(_reason(error)) from error

    def write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except OSError as error:
            raise LineLost(_reason(error)) from error

    def close(self) -> None:
        self._port.close()
