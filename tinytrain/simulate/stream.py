"""What a session feeds to a model: evaluation samples, and training samples in their order."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinytrain.data import Dataset
from tinytrain.data.dataset import CHUNK
from tinytrain.simulate.orders import drifted

if TYPE_CHECKING:
    from tinytrain.simulate.frozen_cache import Kept

MAGIC = b"TTSS"
FORMAT = 1
FLAG_LEARNING_RATE = 1
FLAG_PARAMETERS_IN = 2
FLAG_KEPT = 4
FLAG_REPLAY = 8
FORMAT_EVALUATIONS = 2
"""With two more words after the header: `evaluate_every` and `patience`."""

HEADER = struct.Struct("<4s7If")
"""Magic, format, input size, output size, classes, evaluation samples, steps, flags, rate."""

LEFT_OUT = 0x8000_0000
"""In the word of a sample: the stream brought its input before, and does not again."""

_WORD = struct.Struct("<I")


@dataclass(frozen=True, eq=False)
class Stream:
    """All that an engine needs to run a session.

    Attributes:
        train: samples to learn from.
        order: for each training step the index of its sample in `train`, int64 [steps].
        evaluation: samples to evaluate before and after; None evaluates nothing.
        learning_rate: set before the first step; None keeps the model's own.
        parameters_in: a saved file of trained parameters to start from; None starts from factory.
        replay_steps: steps on remembered samples after each new one; None where the model has no
            replay buffer, or is not to use it.
        drifts: whether the training samples change on the way, see `orders.drifted`.
        evaluate_every: steps after which the evaluation samples are looked at in between; 0 never.
        patience: such evaluations in a row without a better score that end training; 0 never does.
    """

    train: Dataset
    order: np.ndarray
    evaluation: Dataset | None = None
    learning_rate: float | None = None
    parameters_in: bytes | None = None
    replay_steps: int | None = None
    drifts: bool = False
    evaluate_every: int = 0
    patience: int = 0

    @property
    def step_count(self) -> int:
        """Training steps."""
        return int(self.order.size)

    @property
    def eval_count(self) -> int:
        """Samples of each evaluation."""
        return 0 if self.evaluation is None else len(self.evaluation)

    def train_samples(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Input and target of each step in order.

        Yields:
            int8 [H, W, C], and an int32 label [] or a float32 target [output_size].
        """
        for start in range(0, self.step_count, CHUNK):
            steps = np.arange(start, min(start + CHUNK, self.step_count))
            targets = self.train.targets(self.order[steps])
            yield from zip(self._train_inputs(steps), targets, strict=True)

    def eval_samples(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Input and target of each evaluation sample; the same for both evaluations."""
        if self.evaluation is not None:
            for chunk in self.evaluation.chunks():
                yield from _pairs(self.evaluation, chunk)

    def _train_inputs(self, steps: np.ndarray) -> np.ndarray:
        """int8 [n, H, W, C], the input of each of these steps."""
        inputs = self.train.quantized(self.order[steps])
        if not self.drifts:
            return inputs
        progress = steps / max(self.step_count - 1, 1)
        return drifted(inputs, progress, self.train.spec.zero_point)

    def write(
        self, path: Path, progress: Callable[[int, int], None], kept: Kept | None = None
    ) -> None:
        """Write stream.bin as main.c reads it.

        Args:
            progress: gets samples done and all samples.
            kept: what the program is to keep of frozen layers; it must have been built for that.
        """
        spec = self.train.spec
        flags = FLAG_LEARNING_RATE if self.learning_rate is not None else 0
        flags |= FLAG_PARAMETERS_IN if self.parameters_in is not None else 0
        flags |= FLAG_KEPT if kept is not None else 0
        flags |= FLAG_REPLAY if self.replay_steps is not None else 0
        header = HEADER.pack(
            MAGIC,
            FORMAT_EVALUATIONS if self.evaluate_every else FORMAT,
            spec.size,
            spec.output_size,
            spec.classes,
            self.eval_count,
            self.step_count,
            flags,
            self.learning_rate or 0.0,
        )
        with path.open("wb") as file:
            file.write(header)
            if self.evaluate_every:
                file.write(_WORD.pack(self.evaluate_every) + _WORD.pack(self.patience))
            if kept is not None:
                file.write(_WORD.pack(kept.slots))
            if self.replay_steps is not None:
                file.write(_WORD.pack(self.replay_steps))
            count = self.eval_count + self.step_count
            for done, (word, x, target) in enumerate(self._records(kept), start=1):
                file.write(word)
                if x is not None:
                    file.write(x.tobytes())
                file.write(target.astype(target.dtype.newbyteorder("<")).tobytes())
                progress(done, count)

    def _records(self, kept: Kept | None) -> Iterator[tuple[bytes, np.ndarray | None, np.ndarray]]:
        """Word, input and target of every sample, the word or the input where there is one."""
        if kept is None:
            for x, target in itertools.chain(self.eval_samples(), self.train_samples()):
                yield b"", x, target
            return
        for word, (x, target) in zip(kept.evaluation, self.eval_samples(), strict=True):
            yield _WORD.pack(int(word)), x, target
        for word, (found, target) in zip(kept.steps, self._first_samples(kept.steps), strict=True):
            yield _WORD.pack(int(word)), found, target

    def _first_samples(self, words: np.ndarray) -> Iterator[tuple[np.ndarray | None, np.ndarray]]:
        """As `train_samples`, without the inputs that the words say are left out."""
        for start in range(0, self.step_count, CHUNK):
            order = self.order[start : start + CHUNK]
            is_there = words[start : start + CHUNK] < LEFT_OUT
            inputs = iter(self._train_inputs(start + np.flatnonzero(is_there)))
            for there, target in zip(is_there, self.train.targets(order), strict=True):
                yield next(inputs) if there else None, target


def training_order(count: int, steps: int, seed: int) -> np.ndarray:
    """Which of `count` samples each step takes, int64 [steps]: every epoch in a new random order.

    Drawn from NumPy's legacy generator, whose sequence is frozen for good (NEP 19), so that a seed
    means the same order with any NumPy.

    Args:
        count: at least 1.
        seed: 0 to 2**32 - 1.
    """
    generator = np.random.RandomState(seed)
    epochs = [generator.permutation(count) for _ in range(-(-steps // count))]
    return np.concatenate([np.empty(0, dtype=np.int64), *epochs])[:steps]


def _pairs(data: Dataset, index: slice | np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    return zip(data.quantized(index), data.targets(index), strict=True)
