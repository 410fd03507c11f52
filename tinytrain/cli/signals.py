"""Signals that end the process, as an exception that unwinds the stack."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Terminated(BaseException):
    """SIGTERM or SIGHUP: unwinds the stack, so that temporary files go.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)


@contextmanager
def unwound_by(*signals: signal.Signals) -> Iterator[None]:
    """Lets signals that would end the process at once raise `Terminated` instead.

    A signal that whoever started us ignores, as `nohup` ignores SIGHUP, stays ignored.
    """

    def unwind(number: int, frame: object) -> None:
        raise Terminated(number)

    heard = [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
    try:
        previous = {number: signal.signal(number, unwind) for number in heard}
    except ValueError:  # only the main thread may; a test or a program may call us from another
        previous = {}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
