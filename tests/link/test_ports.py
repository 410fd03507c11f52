"""Serial ports that are none: one sentence and a way out, by each command that opens one."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

import tinytrain
from tests.support.surroundings import free_port
from tinytrain import ToolchainError, UsageError
from tinytrain.cli.main import main
from tinytrain.link import line as lines
from tinytrain.link.board import Board
from tinytrain.link.client import LinkClient
from tinytrain.link.line import LineLost, open_line

NO_HOST = "names no host with a port from 1 to 65535"
NO_OPTION = "pyserial does not know an option of this URL"

PORTS = {
    "": "no serial port is named",
    "@9600": "no serial port is named",
    "/dev/none": "No such file",
    "/dev/null": "it is no serial port",
    "/dev": "Is a directory",
    "/dev/none@0": "a line of 0 bits a second carries nothing",
    f"/dev/none@{'9' * 5000}": "no line carries so many bits a second",
    "socket://nohost.invalid:4000": "no such host is known",
    "socket://a..b:4000": "no such host is known",
    "rfc2217://nohost.invalid:4000": "no such host is known",
    "socket://localhost:1": "Connection refused",
    "socket://nohost": NO_HOST,
    "socket://:4000": NO_HOST,
    "socket://localhost:none": NO_HOST,
    "socket://localhost:0": NO_HOST,
    "SOCKET://localhost:65536": NO_HOST,
    "rfc2217://": NO_HOST,
    "socket://localhost:1?logging=loud": NO_OPTION,
    "loop://?logging=loud": NO_OPTION,
    "telnet://localhost:1": "protocol 'telnet' not known",
    "hwgrep://(": "unterminated subpattern",
    "spy:///dev/none": "No such file",
}


@pytest.mark.parametrize("port", PORTS, ids=lambda port: port[:40] or "nothing")
def test_each_gets_one_sentence_and_a_way_out(port: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_line(port)
    assert PORTS[port] in caught.value.what and caught.value.help
    assert "Errno" not in caught.value.what and "Type" not in caught.value.what


def test_a_port_that_this_user_may_not_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a user that may not: pyserial passes on what the system says."""

    def refuse(path: object, *rest: object, **more: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    (tmp_path / "tty").touch()
    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(UsageError, match="cannot be opened: Permission denied") as caught:
        open_line(str(tmp_path / "tty"))
    assert "join the group" in (caught.value.help or "")
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(UsageError, match="cannot be opened: Permission denied"):
        lines.check_device(str(tmp_path / "tty"))


def test_every_command_says_it(
    folder: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = "socket://nohost"
    session = ["simulate", str(folder), "--data", str(data), "--steps", "1", "--on"]
    for command in (["monitor", port], ["monitor", f"serial:{port}"], [*session, f"serial:{port}"]):
        assert main(command) == UsageError.exit_code
        said = capsys.readouterr().err
        assert f"'{port}' {NO_HOST}" in said and "help: write socket://HOST:PORT" in said
        assert "Traceback" not in said
    with pytest.raises(UsageError, match=NO_HOST):
        tinytrain.load(folder, on=f"serial:{port}")


class Fake:
    """A line whose other end sends something, and a clock for whoever waits there."""

    def __init__(self, *, says: bytes | None) -> None:
        self.now = 0.0
        self._says = says
        self._sent = bytearray()

    def read(self, seconds: float) -> bytes:
        self.now += seconds
        found = bytes(self._sent) if self._says is None else self._says
        self._sent.clear()
        return found

    def write(self, data: bytes) -> None:
        self._sent += data

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("says", "message"),
    [
        (None, "only what is sent comes back from 'here'"),
        (b"boot: ok\r\n", "what comes from 'here' is no answer"),
        (b"", "nothing answers at 'here'"),
    ],
)
def test_what_is_no_board_is_told(says: bytes | None, message: str) -> None:
    line = Fake(says=says)
    with pytest.raises(ToolchainError, match=message) as caught:
        Board(LinkClient(line, "here", clock=lambda: line.now))
    assert caught.value.help and 20 < line.now < 40


def test_a_line_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as server:
        line = open_line(f"socket://127.0.0.1:{server.getsockname()[1]}")
        server.accept()[0].close()
        with pytest.raises(LineLost, match="disconnected"):
            line.read(1.0)
        line.close()
        with pytest.raises(LineLost, match=r"^[^']+$"):
            line.read(0.0)
