"""`tinytrain monitor`: a board learns, and one sees it."""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tinytrain.cli.command import arguments_of
from tinytrain.cli.tables import facts_table
from tinytrain.link.board import Hello
from tinytrain.link.monitor import Progress, monitor
from tinytrain.link.parameters import MONITOR as PARAMETERS
from tinytrain.link.readings import Reading

__all__ = ["PARAMETERS", "run"]

_BARS = "▁▂▃▄▅▆▇█"
_BARS_SHOWN = 48


def run(options: argparse.Namespace) -> None:
    """Shows readings until there are enough, or the user has seen enough."""
    console = Console(file=sys.stdout)
    with ExitStack() as stack:
        show: Progress = _print_json if options.json else _print_line
        if console.is_terminal and not options.json:
            live = stack.enter_context(Live(console=console, auto_refresh=False))
            show = _Screen(live).show
        try:
            monitor(**arguments_of(options, PARAMETERS), progress=show)
        except KeyboardInterrupt:  # the usual way to end it
            return


def _print_json(hello: Hello, reading: Reading) -> None:
    print(json.dumps(asdict(reading)), flush=True)


def _print_line(hello: Hello, reading: Reading) -> None:
    print(", ".join(f"{name} {text}" for name, text in _figures(reading)), flush=True)


class _Screen:
    """The last reading, and the losses of those before it."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._losses: deque[float] = deque(maxlen=_BARS_SHOWN)

    def show(self, hello: Hello, reading: Reading) -> None:
        if reading.loss is not None:
            self._losses.append(reading.loss)
        facts: dict[str, object] = {
            "model": f"{hello.name}, {hello.model_hash[:12]}",
            "losses": _bars(self._losses),
            **dict(_figures(reading)),
            "ram": f"{reading.state_bytes:,} bytes of state, {reading.link_bytes:,} of the link",
        }
        table: Table = facts_table(facts)
        table.caption = Text("Ctrl-C ends")
        self._live.update(table, refresh=True)


def _bars(values: Sequence[float]) -> str:
    """A bar of text for each, from the least to the most."""
    if not values:
        return "-"
    low, high = min(values), max(values)
    step = (high - low) / (len(_BARS) - 1) or 1.0
    return "".join(_BARS[round((value - low) / step)] for value in values)


def _figures(reading: Reading) -> Iterator[tuple[str, str]]:
    """Names and figures, without those that there are none of."""
    yield "steps", f"{reading.steps:,}"
    if reading.loss is not None:
        yield "loss", f"{reading.loss:.4f}"
    if reading.accuracy is not None:
        yield "accuracy", f"{reading.accuracy:.1%}"
    yield "rate", f"{reading.learning_rate:.4g}"
    if reading.ms_per_step is not None:
        yield "ms per step", f"{reading.ms_per_step:.4g}"
    if reading.skipped:
        yield "skipped", f"{reading.skipped:,}"
    if reading.clipped is not None:
        yield "clipped inputs", f"{reading.clipped:.1%}"
    if reading.stack_used is not None:
        yield "stack used", f"{reading.stack_used:,}"
    if reading.damaged or reading.refused:
        yield "frames", f"{reading.damaged:,} damaged, {reading.refused:,} refused"
