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

BOARDS = ("this machine", "mps2-an500", "olimex-stm32-h405")


@pytest.mark.parametrize("board", BOARDS)
def test_one_hash(board: str, product: Product, tmp_path: Path) -> None:
    if board in BOARDS[1:]:
        for command in ("qemu-system-arm", "arm-none-eabi-gcc"):
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
    if board in BOARDS[1:]:
        # What the compiler promised for its own program bounds this one's steps.
        assert outcome.stack_used is not None and readings[0].stack_used is not None
