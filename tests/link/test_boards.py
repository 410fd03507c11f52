"""One model, one hash: the reference, and boards that run here, each behind its serial line."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

import tinytrain
from tests.support.boards import emulated_board, host_board
from tests.support.sessions import agree, make_stream, opened
from tinytrain import Product
from tinytrain.simulation.board import BoardEngine
from tinytrain.simulation.host import HostEngine
from tinytrain.target import load_target, targets

BOARDS = ("this machine", "mps2-an500", "olimex-stm32-h405")
OTHERS = ("riscv32", "microbit")
"""With the kinds of UART and of clock that the others do not have."""


@pytest.mark.parametrize(
    "board", [*BOARDS, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]
)
def test_one_hash(board: str, product: Product, tmp_path: Path) -> None:
    if board != BOARDS[0]:
        target = load_target(board)
        for command in (target.architecture.emulator, target.compiler):
            if shutil.which(command) is None:
                pytest.skip(f"{command} is missing")
    folder = opened(product)
    stream = make_stream(folder, tmp_path / "data.npz", steps=20)
    with ExitStack() as stack:
        place = product.directory
        found = host_board(place) if board == BOARDS[0] else emulated_board(place, board)
        port = stack.enter_context(found)
        outcome, _ = agree(product, BoardEngine(folder, port), stream)
        readings = tinytrain.monitor(port, readings=1)
    here, _ = agree(product, HostEngine(folder), stream)
    assert outcome.saved == here.saved and outcome.health == here.health
    assert hashlib.sha256(outcome.weights).digest() == hashlib.sha256(here.weights).digest()
    assert len(outcome.step_seconds) == 20 and min(outcome.step_seconds) > 0
    assert readings[0].steps == 20
    if board != BOARDS[0]:
        # What the compiler promised for its own program bounds this one's steps.
        assert outcome.stack_used is not None and readings[0].stack_used is not None


def test_every_serial_line_has_a_clock_beside_it() -> None:
    """So that a session on a board says how long a step takes."""
    for target in targets():
        if target.serial is not None:
            clock = target.serial.clock or target.architecture.clock
            needs = {"systick": {"CLOCK"}, "nrf": {"TIMER"}, "mtime": {"MTIME", "MTIME_HZ"}}
            assert needs[clock] <= set(target.serial.settings), target.name
            # An nRF51 has no SysTick, and an nRF52 the same timer.
            assert (clock == "nrf") == (target.serial.uart == "nrf")
