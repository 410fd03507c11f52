"""The calls of a device that tells what is not normal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinytrain.data.given import given_inputs
from tinytrain.errors import UsageError
from tinytrain.reference.anomaly import Use, Verdict
from tinytrain.simulation.device_calls import DeviceCalls
from tinytrain.simulation.device_result import library_samples
from tinytrain.simulation.watch import check_watchable, watched_samples


@dataclass(frozen=True, eq=False)
class Judgements:
    """What a device said of samples, in their order.

    Attributes:
        scores: before anything was learned from the sample, float32 [n].
        thresholds: above which a score is not that of a normal sample; infinite in the warm-up.
        verdicts: "warming up", "normal" or "anomalous" after each sample.
        learned: whether the sample was learned from, bool [n].
        predictions: the class predicted, int32 [n]; -1 where the loss is the score.
    """

    scores: np.ndarray
    thresholds: np.ndarray
    verdicts: tuple[str, ...]
    learned: np.ndarray
    predictions: np.ndarray

    @property
    def flagged(self) -> np.ndarray:
        """Whether each score is above its threshold, bool [n]."""
        return self.scores > self.thresholds

    def __repr__(self) -> str:
        return (
            f"Judgements(samples={self.scores.size}, flagged={int(self.flagged.sum())}, "
            f"learned={int(self.learned.sum())}, verdict={self.verdicts[-1]!r})"
        )


class Watching(DeviceCalls):
    """Of a device whose model was compiled with `anomaly`."""

    def watch(self, x: Any) -> Judgements:
        """Judges a sample, or each of a batch in order, and learns from those that are normal.

        Args:
            x: as the class says; an autoencoder learns to give it.

        Raises:
            UsageError: the model does not tell what is not normal.
            DataError: x does not fit the model.
        """
        return _judged(self, x, Use.WATCH)

    def learn_normal(self, x: Any) -> Judgements:
        """The same with samples that are known to be normal: all are learned from."""
        return _judged(self, x, Use.LEARN)

    def score(self, x: Any) -> Judgements:
        """The same, and nothing changes."""
        return _judged(self, x, Use.SCORE)

    def forget_normal(self) -> None:
        """Forgets what is normal, so that the warm-up begins anew; the weights stay."""
        _check(self)
        with self._running() as library:
            library.forget_normal()


def _check(device: DeviceCalls) -> None:
    if device._folder.manifest.anomaly is None:
        raise UsageError(
            f"the model in '{device._folder.path}' does not tell what is not normal",
            help="compile with anomaly='error', 'diagonal' or 'covariance'",
        )


def _judged(device: DeviceCalls, x: Any, use: Use) -> Judgements:
    _check(device)
    check_watchable(device._folder)
    data, _ = given_inputs(x, device._folder.spec)
    data = watched_samples(data)
    with device._running() as library:
        found = np.concatenate(
            [library.judge(library_samples(data, chunk), use) for chunk in data.chunks()]
        )
    return Judgements(
        found["score"].copy(),
        found["threshold"].copy(),
        tuple(_words(found["verdict"])),
        found["learned"].astype(np.bool_),
        found["prediction"].copy(),
    )


def _words(verdicts: np.ndarray) -> Iterator[str]:
    for verdict in verdicts:
        yield Verdict(int(verdict)).name.lower().replace("_", " ")
