"""What a test needs of the machine, the shell and the terminal that it was started from."""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path

HANGS = 1800.0
"""Seconds after which a process counts as hung: a guard that no test passes or fails by. What it
guards takes seconds, also on a machine with far more work than processors."""

_ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)


def as_from_a_terminal() -> None:
    """In a child: signals that end a process do, though a shell that runs jobs ignores some."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


def is_alive(pid: int) -> bool:
    """Whether a process runs, and will: one that was killed may not have come to it yet."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    state = re.search(r"^State:\s+(\w)", status, re.MULTILINE)
    pending = re.findall(r"^(?:Sig|Shd)Pnd:\s+(\w+)", status, re.MULTILINE)
    assert state is not None and len(pending) == 2, status
    killed = any(int(mask, 16) >> (signal.SIGKILL - 1) & 1 for mask in pending)
    return state[1] not in "ZX" and not killed
