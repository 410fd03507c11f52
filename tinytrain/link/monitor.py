"""Watching a board learn: `tinytrain monitor`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path

from tinytrain.link.board import Hello, open_board
from tinytrain.link.line import PREFIX
from tinytrain.link.parameters import MONITOR
from tinytrain.link.plotting import TELEPLOT, CsvFile, Page, Sink, Teleplot
from tinytrain.link.readings import Reading, take_readings
from tinytrain.option import check_options

Progress = Callable[[Hello, Reading], None]
"""Called with what the board is, and with each reading."""


def monitor(
    port: str,
    *,
    interval: float = 1.0,
    readings: int | None = None,
    plot: str | Path | None = None,
    csv: str | Path | None = None,
    progress: Progress = lambda hello, reading: None,
) -> tuple[Reading, ...]:
    """Reads what a board at a serial port says of its training, again and again.

    Args:
        port: a device such as `/dev/ttyACM0`; `serial:` before it, as `simulate(on="serial:...")`
            takes it, may stay. The board runs a program with the link, which trains by itself or is
            idle.
        interval: seconds from one reading to the next, 0.05 to 3600.
        readings: how many; None goes on until it is interrupted, or the board is gone.
        plot: a page that shows them, written anew with each; or "teleplot" for datagrams to
            Teleplot on this machine.
        csv: a file that gets a line for each.
        progress: called with each.

    Returns:
        The readings, in order.

    Raises:
        UsageError: the port cannot be opened, or a file cannot be written.
        ToolchainError: the board does not answer, or was reset.
    """
    check_options(MONITOR, interval=interval, readings=readings)
    with ExitStack() as stack:
        board = stack.enter_context(closing(open_board(port.removeprefix(PREFIX))))
        sinks: list[Sink] = []
        if csv is not None:
            sinks.append(stack.enter_context(closing(CsvFile(Path(csv)))))
        if plot == TELEPLOT:
            sinks.append(stack.enter_context(closing(Teleplot(board.hello.name))))
        elif plot is not None:
            sinks.append(Page(Path(plot), board.hello, interval))
        found: list[Reading] = []
        for reading in islice(take_readings(board, interval), readings):
            found.append(reading)
            for sink in sinks:
                sink.take(reading)
            progress(board.hello, reading)
    return tuple(found)
