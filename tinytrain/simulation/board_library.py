"""The calls of a library of this machine, answered by a board at a serial port."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinytrain.errors import UsageError
from tinytrain.link.board import Board, Ran, open_board
from tinytrain.link.lock import apart
from tinytrain.manifest.interface import ModelInterface
from tinytrain.saved_file import read_saved
from tinytrain.simulation.board_checks import check_link, check_model
from tinytrain.simulation.folder import GeneratedFolder
from tinytrain.simulation.library import HostLibrary
from tinytrain.simulation.library_samples import LibrarySamples
from tinytrain.simulation.stream import sample_bytes


class BoardLibrary(HostLibrary):
    """A model on a board, which begins at its factory state; one with a locked link goes on from
    what it has. What the link has no message for, or does not answer, is a UsageError.

    Args:
        board: holds this model.
        model: of the folder.
    """

    takes_signed = True

    def __init__(self, board: Board, model: ModelInterface) -> None:
        self.model = model
        self._board = board
        if board.lock is None:
            self.init()

    def close(self) -> None:
        """Lets others have the line."""
        self._board.close()

    def init(self) -> None:
        """Back to the factory state."""
        self._board.reset()

    def set_learning_rate(self, rate: float) -> None:
        """See `HostLibrary`."""
        self._board.set_rate(float(np.float32(rate)))

    def learning_rate(self) -> float:
        """See `HostLibrary`."""
        return float(self._board.health()["rate"])

    def train(
        self,
        samples: LibrarySamples,
        order: np.ndarray,
        rates: np.ndarray | None = None,
        *,
        replay_steps: int = 0,
        rehearsal_steps: int = 0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `HostLibrary`."""
        self._check_targets(samples)
        found = []
        for step, index in enumerate(order):
            if rates is not None:
                self.set_learning_rate(float(rates[step]))
            name = "learn" if self.model.replay is not None else "train"
            found.append(self._run(name, samples, int(index)))
            for _ in range(replay_steps):
                self._board.step("replay")
            for _ in range(rehearsal_steps):
                self._board.step("rehearse")
        return _arrays(found)

    def follow(self, inputs: np.ndarray, *, predict: bool = False) -> np.ndarray | None:
        """See `HostLibrary`."""
        found = []
        for one in inputs:
            self._board.run("follow", one.tobytes())
            found += [self._board.outputs()] if predict else []
        return np.stack(found).astype(np.float32) if predict else None

    def follow_reset(self) -> None:
        """See `HostLibrary`."""
        self._board.ask("follow_reset", flags=0)

    def rehearse(self, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """See `HostLibrary`."""
        return _arrays([self._board.step("rehearse") for _ in range(steps)])

    def evaluate_rehearsal(self) -> tuple[int, float, np.ndarray]:
        """See `HostLibrary`."""
        return self._board.rehearsal(self.model.classes)

    def remember(self, samples: LibrarySamples) -> None:
        """See `HostLibrary`."""
        self._check_targets(samples)
        for index in range(len(samples.targets)):
            self._run("remember", samples, index)

    def infer(self, inputs: np.ndarray) -> np.ndarray:
        """See `HostLibrary`."""
        found = []
        for one in inputs:
            self._board.run("infer", one.tobytes())
            found.append(self._board.outputs())
        return np.stack(found).astype(np.float32)

    def save(self) -> bytes:
        """The saved file of the trained parameters."""
        return self._board.save()

    def load(self, data: bytes) -> None:
        """See `HostLibrary`; where the link is locked the file has to be signed."""
        read_saved(apart(data)[0])
        self._board.load(data)

    def _measure(self, function: str, samples: LibrarySamples) -> tuple[np.ndarray, np.ndarray]:
        self._check_targets(samples)
        found = [self._run("evaluate", samples, index) for index in range(len(samples.targets))]
        return _arrays(found)

    def _run(self, name: str, samples: LibrarySamples, index: int) -> Ran:
        assert samples.inputs is not None, "a board computes its frozen layers itself"
        return self._board.run(name, sample_bytes(samples.inputs[index], samples.targets[index]))

    def _function(self, name: str, result: type | None) -> Callable[..., int]:
        raise _unknown(name)


def _unknown(name: str) -> UsageError:
    return UsageError(
        f"a board at a serial port has no message for {name.removeprefix('library_')}",
        help="load the folder with on='host'",
    )


def _arrays(found: list[Ran]) -> tuple[np.ndarray, np.ndarray]:
    losses = np.array([one.loss for one in found], np.float32)
    return losses, np.array([one.prediction for one in found], np.int32)


def board_library(folder: GeneratedFolder, port: str) -> BoardLibrary:
    """The model of a folder on the board at a port, at its factory state.

    Raises:
        UsageError: the port cannot be opened.
        ModelError: the board holds another model.
        ToolchainError: nobody answers.
    """
    check_link(folder)
    board = open_board(port)
    try:
        check_model(board, folder)
        return BoardLibrary(board, folder.manifest.interface)
    except BaseException:
        board.close()
        raise
