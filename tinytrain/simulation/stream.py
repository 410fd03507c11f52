"""What a session feeds to a model: evaluation samples, and training samples in their order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tinytrain.data import Dataset, SampleSpec
from tinytrain.data.coverage import Coverages, coverages
from tinytrain.data.dataset import CHUNK
from tinytrain.losses import SampleTarget
from tinytrain.naming import advice
from tinytrain.saved_file import read_saved
from tinytrain.simulation.orders import drifted

TARGET_DTYPES = {
    SampleTarget.LABEL: np.int32,
    SampleTarget.PIXELS: np.uint8,
    SampleTarget.SHARES: np.float32,
    SampleTarget.VALUES: np.float32,
}
"""Of the target of a sample, as the device takes it."""


def target_bytes(target: np.ndarray) -> bytes:
    """The target of a sample, little-endian, as the device takes it."""
    return target.astype(target.dtype.newbyteorder("<")).tobytes()


def sample_bytes(x: np.ndarray, target: np.ndarray) -> bytes:
    """A sample as the device takes it: the inputs, and behind them the target."""
    return x.tobytes() + target_bytes(target)


FEW_KEPT = 16
"""Samples kept apart below which a guard hardly tells harm from chance."""


def few_kept(count: int) -> str:
    """A sentence on a guard that looks at so few samples."""
    return (
        f"the guard looks at {count} sample{'s' if count > 1 else ''} kept apart, which are too "
        "few to tell harm from chance: give 50 or more, and as many of each class"
    )


@dataclass(frozen=True, eq=False)
class SampleStream:
    """All that an engine needs to run a session.

    Attributes:
        train: samples to learn from.
        order: for each training step the index of its sample in `train`, int64 [steps].
        evaluation: samples to evaluate before and after; None evaluates nothing.
        old: samples of the old task, which are evaluated with them and decide nothing.
        learning_rate: set before the first step; None keeps the model's own.
        parameters_in: a saved file of trained parameters to start from; None starts from factory.
        signature: what stands behind `parameters_in` in a signed file, for a board that verifies
            it; empty where it is not signed.
        replay_steps: steps on remembered samples after each new one; None where the model has no
            replay buffer, or is not to use it.
        rehearsal_steps: on samples of the rehearsal set after each new one; None where the model
            has none.
        fill: samples that the replay buffer is offered before the first step; None for none.
        is_guarded: whether the model's guard is asked before each new sample.
        kept: samples that it looks at and no step learns from; None for none.
        drifts: whether the training samples change on the way, see `orders.drifted`.
        evaluate_every: steps after which the evaluation samples are looked at in between; 0 never.
        enrols: whether samples are enrolled in place of trained on, each once, and classified by
            what is enrolled in place of inferred.
        enrolment: the session that follows this one, and enrols its samples; None without one.
        patience: such evaluations in a row without a better score that end training; 0 never does.
        follows: whether drift is followed over the training samples, which then need no targets and
            are not trained on.
        unlabelled: whether the labels of the training samples are not looked at: those that are
            sure enough are trained on as what the model takes them for.
        watches: whether the training samples are watched for what is not normal, instead of
            trained on, and the evaluation samples scored.
    """

    train: Dataset
    order: np.ndarray
    evaluation: Dataset | None = None
    learning_rate: float | None = None
    parameters_in: bytes | None = None
    signature: bytes = b""
    replay_steps: int | None = None
    rehearsal_steps: int | None = None
    fill: Dataset | None = None
    is_guarded: bool = False
    kept: Dataset | None = None
    drifts: bool = False
    evaluate_every: int = 0
    patience: int = 0
    enrols: bool = False
    enrolment: SampleStream | None = None
    follows: bool = False
    old: Dataset | None = None
    watches: bool = False
    unlabelled: bool = False

    @property
    def step_count(self) -> int:
        """Training steps."""
        return int(self.order.size)

    @property
    def eval_count(self) -> int:
        """Samples of each evaluation, those of the old task behind the others."""
        return self.judged_count + (0 if self.old is None else len(self.old))

    @property
    def judged_count(self) -> int:
        """Samples of each evaluation without those of the old task."""
        return 0 if self.evaluation is None else len(self.evaluation)

    @property
    def fill_count(self) -> int:
        """Samples that the replay buffer is offered before the first step."""
        return 0 if self.fill is None else len(self.fill)

    @cached_property
    def train_coverage(self) -> Coverages:
        """How the samples to learn from lie in the range of each input."""
        return coverages(self.train)

    @cached_property
    def eval_coverage(self) -> Coverages | None:
        """The same of the evaluation samples."""
        return None if self.evaluation is None else coverages(self.evaluation)

    @cached_property
    def old_coverage(self) -> Coverages | None:
        """The same of the samples of the old task."""
        return None if self.old is None else coverages(self.old)

    def warnings(self) -> tuple[str, ...]:
        """Sentences on data that is not scaled as in calibration, or can be read in two ways."""
        pairs = (
            (self.train, self.train_coverage),
            (self.evaluation, self.eval_coverage),
            (self.old, self.old_coverage),
        )
        found: list[str] = []
        for data, covered in pairs:
            if data is not None and covered is not None:
                found += [*covered.warnings(), *data.notes]
        if self.kept is not None and len(self.kept) < FEW_KEPT:
            found.append(few_kept(len(self.kept)))
        if self.replay_steps is not None and self._brings_no_samples:
            found.append("the saved file brings no samples: the replay buffer begins empty")
        return advice(dict.fromkeys(found))

    @property
    def _brings_no_samples(self) -> bool:
        """Whether the session starts from a file of what was learned alone."""
        return self.parameters_in is not None and not read_saved(self.parameters_in).samples

    def train_samples(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Input and target of each step in order.

        Yields:
            int8 [H, W, C], and an int32 label [] or a float32 target [output_size].
        """
        for start in range(0, self.step_count, CHUNK):
            steps = np.arange(start, min(start + CHUNK, self.step_count))
            targets = self.train_targets(self.order[steps])
            yield from zip(self.train_inputs(steps), targets, strict=True)

    def eval_samples(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Input and target of each evaluation sample; the same for both evaluations."""
        yield from _all_pairs(self.evaluation)
        yield from _all_pairs(self.old)

    def fill_samples(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Input and target of each sample that the replay buffer is offered first."""
        return _all_pairs(self.fill)

    def train_targets(self, index: np.ndarray) -> np.ndarray:
        """The targets of chosen training samples; zeros where nothing trains."""
        if not (self.follows or self.unlabelled):
            return self.train.targets(index)
        return no_targets(self.train.spec, index.size)

    def kept_samples(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Input and target of each sample that is kept apart for the guard."""
        return _all_pairs(self.kept)

    def train_inputs(self, steps: np.ndarray) -> np.ndarray:
        """int8 [n, H, W, C], the input of each of these steps."""
        inputs = self.train.quantized(self.order[steps])
        if not self.drifts:
            return inputs
        progress = steps / max(self.step_count - 1, 1)
        return drifted(inputs, progress, self.train.spec.zero_point)


def no_targets(spec: SampleSpec, count: int) -> np.ndarray:
    """Zeros in the place of the targets of so many samples, where nobody looks at them."""
    shape = (count,) if spec.wants is SampleTarget.LABEL else (count, spec.target_size)
    return np.zeros(shape, TARGET_DTYPES[spec.wants])


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


def _all_pairs(data: Dataset | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    if data is not None:
        for chunk in data.chunks():
            yield from zip(data.quantized(chunk), data.targets(chunk), strict=True)
