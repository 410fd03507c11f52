"""A line that loses, repeats, cuts and changes bytes costs time, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.boards import X, Y
from tests.support.library_boards import BadLine, LibraryBoard
from tinytrain import DataError, ToolchainError
from tinytrain.link.board import Board
from tinytrain.link.frames import Frame
from tinytrain.link.table import ANSWER, MESSAGES
from tinytrain.saved_file import read_saved
from tinytrain.simulation.folder import open_folder

FRAMES = 10_000


@pytest.fixture(scope="module")
def board(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> LibraryBoard:
    model = open_folder(folder).manifest.interface
    return LibraryBoard(folder, model, tmp_path_factory.mktemp("cache"))


@pytest.fixture
def line(board: LibraryBoard) -> Callable[..., BadLine]:
    def make(damage: float = 0.0, seed: int = 0) -> BadLine:
        board.reset()
        return BadLine(board, damage, seed)

    return make


def samples(folder: Path, count: int) -> list[bytes]:
    spec = open_folder(folder).spec
    inputs = np.clip(np.rint(X / spec.scale) + spec.zero_point, -128, 127).astype(np.int8)
    pairs = [(inputs[k % len(X)], np.int32(Y[k % len(X)])) for k in range(count)]
    return [x.tobytes() + y.tobytes() for x, y in pairs]


def test_ten_thousand_frames(folder: Path, line: Callable[..., BadLine]) -> None:
    """Training, evaluation and transfers, on a line that hurts one frame in five."""
    wanted = samples(folder, 60)

    def work(bad: BadLine, frames: int) -> tuple[list[object], bytes]:
        host = Board(bad.client())
        said: list[object] = [host.set_rate(0.01)]
        while host.client.traffic.questions < frames:
            for sample in wanted:
                said.append(host.run("train", sample))
                said.append(host.run("evaluate", sample))
                said.append(host.run("infer", sample[:-4]))
            said.append(host.outputs().tobytes())
            said.append(host.save())
            said.append({**host.metrics(forget=True)})
        return said, host.save()

    bad = line(0.03, seed=7)
    found = work(bad, FRAMES)
    assert min(bad.done.values()) > FRAMES * 0.03 and bad.now < 3600
    again = Board(BadLine(bad.board, 0.0, 0).client())
    health = again.health()
    assert health["damaged"] > 500 and health["refused"] > 100 and health["repeated"] > 300
    assert work(line(), FRAMES) == found


def test_an_interrupted_transfer_goes_on(folder: Path, line: Callable[..., BadLine]) -> None:
    good = line()
    host = Board(good.client())
    for sample in samples(folder, 5):
        host.run("train", sample)
    learned = host.save()
    host.reset()
    before = host.save()
    assert read_saved(learned).weights != read_saved(before).weights

    class Enough(Exception):
        pass

    def stop(done: int, whole: int) -> None:
        at.append(done)
        if done > whole // 2:
            raise Enough

    at: list[int] = []
    with pytest.raises(Enough):
        host.load(learned, stop)
    # Nothing has changed, and half of it is there.
    sent: list[int] = []
    other = Board(good.client())
    assert other.hello.steps == 0
    other.load(learned, lambda done, whole: sent.append(done))
    assert sent[0] > len(learned) // 2
    assert other.save() == learned


def test_a_file_that_is_damaged_changes_nothing(folder: Path, line: Callable[..., BadLine]) -> None:
    host = Board(line().client())
    for sample in samples(folder, 3):
        host.run("train", sample)
    before = host.save()
    for at in (50, len(before) // 2, len(before) - 1):
        with pytest.raises(DataError, match="damaged"):
            host.load(before[:at] + bytes([before[at] ^ 1]) + before[at + 1 :])
        assert host.save() == before
    with pytest.raises(DataError, match="another model"):
        host.load(before[:8] + bytes(32) + before[40:])
    with pytest.raises(ToolchainError, match="not whole"):
        host.load(before[:-1])
    assert host.save() == before


def test_a_reset_is_told(folder: Path, line: Callable[..., BadLine]) -> None:
    bad = line()
    host = Board(bad.client())
    (sample,) = samples(folder, 1)
    host.run("train", sample)
    bad.board.reset()
    with pytest.raises(ToolchainError, match=r"was reset while it was asked: what it learned is"):
        host.run("train", sample)


def test_a_second_host_is_told(folder: Path, line: Callable[..., BadLine]) -> None:
    shared = line()
    first = Board(shared.client())
    second = Board(shared.client())
    with pytest.raises(ToolchainError, match="another program speaks to the board"):
        first.health()
    assert second.health()["refused"] == 1


def test_silence_ends(folder: Path, line: Callable[..., BadLine]) -> None:
    bad = line()
    host = Board(bad.client())
    bad.is_cut = True
    with pytest.raises(ToolchainError, match="stopped answering"):
        host.health()
    assert 120 < bad.now < 130
    before = bad.now
    with pytest.raises(ToolchainError, match="nothing answers at 'the bad line'"):
        Board(bad.client())
    assert 20 < bad.now - before < 30  # a wrong port is told soon


HOSTILE = {
    "an unknown message": (Frame(1, 99, 0, b""), 64),
    "message 0": (Frame(1, 0, 0, b"1234"), 64),
    "a body that is too short": (Frame(1, MESSAGES["train"].type, 0, b"12"), 65),
    "a body that is too long": (Frame(1, MESSAGES["health"].type, 0, bytes(9)), 65),
    "a piece behind the end": (Frame(1, MESSAGES["sample"].type, 0, b"\xff" * 8), 68),
    "a piece of a file behind the end": (Frame(1, MESSAGES["write"].type, 0, b"\xff" * 8), 68),
    "outputs without an inference": (Frame(1, MESSAGES["output"].type, 0, bytes(4)), 70),
    "reading without a file": (Frame(1, MESSAGES["read"].type, 0, bytes(4)), 70),
    "loading without a file": (Frame(1, MESSAGES["load"].type, 0, bytes(4)), 70),
    "training without a sample": (Frame(1, MESSAGES["train"].type, 0, bytes(4)), 70),
    "counters of no table": (Frame(1, MESSAGES["counters"].type, 0, b"\xff" * 8), 69),
    "what the model lacks": (Frame(1, MESSAGES["replay"].type, 0, bytes(4)), 64),
    "drift that nothing follows": (Frame(1, MESSAGES["follow"].type, 0, bytes(4)), 64),
    "moments that it lacks": (Frame(1, MESSAGES["follow_reset"].type, 0, bytes(4)), 64),
    "a rehearsal set that it lacks": (Frame(1, MESSAGES["rehearsal"].type, 0, bytes(4)), 64),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_frames_are_refused_and_counted(
    name: str, folder: Path, line: Callable[..., BadLine]
) -> None:
    frame, status = HOSTILE[name]
    board = line().board
    host = Board(BadLine(board, 0.0, 0).client())
    before = host.save()
    (sample,) = samples(folder, 1)
    host.run("evaluate", sample)  # the file that lay in the arena is gone
    board.take(Frame(0, MESSAGES["hello"].type, 0, bytes(4)).encoded())
    (found,) = frames_of(board.take(frame.encoded()))
    assert (found.sequence, found.type, found.status) == (1, frame.type | ANSWER, status)
    again = Board(BadLine(board, 0.0, 0).client())
    assert again.health()["refused"] == 1
    assert again.save() == before


def frames_of(data: bytes) -> list[Frame]:
    from tinytrain.link.frames import FrameReader

    return list(FrameReader().frames(data))


def test_an_echo_is_no_question(line: Callable[..., BadLine]) -> None:
    board = line().board
    answer = board.take(Frame(5, MESSAGES["hello"].type, 0, bytes(4)).encoded())
    assert board.take(answer) == b""
