"""What the link carries: bytes a second and overhead, by board and by size of a body.

.venv/bin/python -m bench.link

Prints the table of docs/link.md. A serial line of 115,200 bits a second carries 11,520 bytes a
second in each direction; pseudo-terminals carry what they can, so the time of a line at that rate
is computed from the bytes that went over it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import numpy as np

import tinytrain
from tests.support.boards import DIGITS, X, Y, emulated_board, host_board
from tinytrain.link.board import Board, open_board
from tinytrain.simulation.folder import open_folder

BODIES = (144, 256, 1024)
BYTES_A_SECOND = 11_520


def main() -> None:
    """Prints a row for each board and each kind of traffic."""
    print("| board | body | what | bytes | of them frames | bytes a second here | at 115,200 |")
    print("|---|---:|---|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory(prefix="link-") as place:
        folder = Path(place, "own")
        tinytrain.compile_model(
            DIGITS, output=folder, name="own", calibration=X, target="mps2-an500", link=True
        )
        for name, body, board in _boards(folder):
            with board as port, closing(open_board(port)) as opened:
                for row in _rows(folder, opened):
                    print(f"| {name} | {body} | {row} |", flush=True)


def _boards(folder: Path) -> Iterator[tuple[str, int, AbstractContextManager[str]]]:
    for body in BODIES:
        flags = [f"-DTT_LINK_BODY={body}"]
        yield "this machine", body, host_board(folder, flags=flags, variant=f"link-{body}")
    yield "mps2-an500, emulated", 256, emulated_board(folder, "mps2-an500")
    yield "olimex-stm32-h405, emulated", 256, emulated_board(folder, "olimex-stm32-h405")


def _rows(folder: Path, board: Board) -> Iterator[str]:
    spec = open_folder(folder).spec
    x = np.zeros(spec.size, np.int8).tobytes() + np.int32(Y[0]).tobytes()
    saved = board.save()
    yield _row(board, "a sample, trained on", len(x), 40, lambda: board.run("train", x))
    yield _row(board, "parameters out", len(saved), 1, board.save)
    yield _row(board, "parameters in", len(saved), 1, lambda: board.load(saved))


def _row(board: Board, what: str, payload: int, rounds: int, call: Callable[[], object]) -> str:
    traffic = board.client.traffic
    before = traffic.sent, traffic.received
    start = time.monotonic()
    for _ in range(rounds):
        call()
    took = time.monotonic() - start
    sent, received = traffic.sent - before[0], traffic.received - before[1]
    over = 1 - rounds * payload / (sent + received)
    line = rounds * payload / ((sent + received) / BYTES_A_SECOND)
    return f"{what} | {payload:,} | {over:.0%} | {rounds * payload / took:,.0f} | {line:,.0f}"


if __name__ == "__main__":
    main()
