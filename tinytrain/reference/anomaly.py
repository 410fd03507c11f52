"""What is normal, learned, and what is not, flagged: docs/arithmetic.md, "Anomalies".

`AnomalyWatch` judges scores, `DiagonalStatistics` and `CovarianceStatistics` score features; to the
bit as the device.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from tinytrain.saved_file import layout

BINS = 256
"""Of the histogram of normal scores."""

LOWEST = 348
MARGIN = np.float32(1.25)
FLOOR = np.float32(0.25)

WARM_UPS = range(16, 16_384)
"""Samples that a warm-up may have: four times as many scores have room in a 16-bit count."""

_WORD = 2**32
_INFINITY = np.float32(np.inf)


class Verdict(IntEnum):
    """`tt_anomaly_verdict`: what the samples so far are."""

    WARMING_UP = 0
    NORMAL = 1
    ANOMALOUS = 2


class Use(IntEnum):
    """`tt_anomaly_use`: what a call does beside scoring."""

    SCORE = 0
    WATCH = 1
    LEARN = 2


@dataclass(frozen=True)
class AnomalyRule:
    """How a model is watched.

    Attributes:
        warm_up: samples that are taken as normal at first, one of `WARM_UPS`.
        quantile: share of the normal scores below the quantile, 0.5 to 0.9999.
        in_a_row: samples in a row that change the verdict.
    """

    warm_up: int
    quantile: float
    in_a_row: int

    @property
    def tail(self) -> int:
        """Share of the scores above the quantile, times 2^32."""
        return round((1.0 - self.quantile) * _WORD)

    @property
    def window(self) -> int:
        """Samples over which what is normal is remembered."""
        return 4 * self.warm_up


@dataclass(frozen=True)
class Judgement:
    """What a watch said of one sample; `tt_anomaly_result` in C has more.

    Attributes:
        score: before anything was learned from the sample, float32.
        threshold: above which a score is not that of a normal sample; infinite in the warm-up.
        verdict: of the samples up to this one.
        learned: whether the sample is to be learned from.
    """

    score: np.float32
    threshold: np.float32
    verdict: Verdict
    learned: bool


class AnomalyWatch:
    """Counts the scores of normal samples and judges the next by them."""

    def __init__(self, rule: AnomalyRule) -> None:
        self.rule = rule
        self.learned = 0
        self._in_a_row = 0
        self._is_anomalous = False
        self._scores = np.zeros(BINS, np.int64)

    def judge(self, score: np.float32, use: Use) -> Judgement:
        """See `tt_anomaly_judge`; the score is finite and at least 0."""
        warms_up = self.learned < self.rule.warm_up
        quantile = _INFINITY if warms_up else self._quantile()
        threshold = quantile * MARGIN
        learns = use is not Use.SCORE
        if use is Use.WATCH and not warms_up:
            self._turn(bool(score <= quantile if self._is_anomalous else score > threshold))
            learns = not self._is_anomalous and bool(score <= threshold)
        elif use is Use.LEARN:
            self._is_anomalous, self._in_a_row = False, 0
        if learns:
            if self.learned >= self.rule.warm_up // 2:
                self._count(score)
            self.learned = min(self.learned + 1, _WORD - 1)
        settled = Verdict.ANOMALOUS if self._is_anomalous else Verdict.NORMAL
        return Judgement(score, threshold, Verdict.WARMING_UP if warms_up else settled, learns)

    @property
    def weight(self) -> np.float32:
        """Of the sample that was counted last, in means."""
        return np.float32(1) / np.float32(max(self._counted, 1))

    @property
    def _counted(self) -> int:
        """Samples that the means and variances are of."""
        return min(self.learned, self.rule.window)

    def corrected(self, mean: np.float32, size: int) -> np.float32:
        """See `tt_anomaly_corrected`; `mean` is that of the squared distances."""
        if self._counted < 2 * size:
            return mean * np.float32(0.5)
        return mean * (np.float32(1) - np.float32(size) / np.float32(self._counted))

    def state_bytes(self) -> bytes:
        """As a saved file has it."""
        head = layout("tt_anomaly", "tt_anomaly.h").pack(
            learned=self.learned, in_a_row=self._in_a_row, is_anomalous=self._is_anomalous
        )
        return head + self._scores.astype("<u2").tobytes()

    def _turn(self, speaks_against: bool) -> None:
        self._in_a_row = self._in_a_row + 1 if speaks_against else 0
        if self._in_a_row >= self.rule.in_a_row:
            self._is_anomalous, self._in_a_row = not self._is_anomalous, 0

    def _quantile(self) -> np.float32:
        tail = int(self._scores.sum()) * self.rule.tail >> 32
        above = np.cumsum(self._scores[::-1])[::-1]
        found = np.flatnonzero(above > tail)
        if not found.size or found[-1] == BINS - 1:
            return _INFINITY
        bin = int(found[-1])
        inside = int(self._scores[bin]) - (int(above[bin]) - tail)
        low, high = _edge(bin), _edge(bin + 1)
        return high - (high - low) * (np.float32(inside) / np.float32(self._scores[bin]))

    def _count(self, score: np.float32) -> None:
        if self._scores.sum() >= self.rule.window:
            self._scores //= 2
        key = int(np.float32(score).view(np.uint32)) >> 21
        self._scores[min(max(key - LOWEST, 0), BINS - 1)] += 1


class DiagonalStatistics:
    """Running mean and variance of each feature."""

    def __init__(self, size: int) -> None:
        self.mean = np.zeros(size, np.float32)
        self.variance = np.zeros(size, np.float32)

    def score(self, x: np.ndarray) -> np.float32:
        """The mean squared distance from the mean, in variances.

        Args:
            x: int8 [size].
        """
        deviation = x.astype(np.float32) - self.mean
        parts = deviation * deviation / np.maximum(self.variance, FLOOR)
        return _sum(parts) / np.float32(x.size)

    def learn(self, x: np.ndarray, weight: np.float32) -> None:
        """Takes a sample in, int8 [size]."""
        deviation = x.astype(np.float32) - self.mean
        part = weight * deviation
        self.mean = self.mean + part
        self.variance = (np.float32(1) - weight) * (self.variance + part * deviation)

    def state_bytes(self) -> bytes:
        """As a saved file has it."""
        return b"".join(array.astype("<f4").tobytes() for array in (self.mean, self.variance))


class CovarianceStatistics:
    """Running mean and covariance of the features, held as L * D * transposed L."""

    def __init__(self, size: int) -> None:
        self.mean = np.zeros(size, np.float32)
        self.spread = np.zeros(size, np.float32)
        self.columns = [np.zeros(size - 1 - j, np.float32) for j in range(size)]

    def score(self, x: np.ndarray) -> np.float32:
        """The squared Mahalanobis distance of a sample, int8 [size], by the number of features."""
        work = x.astype(np.float32) - self.mean
        spread = np.maximum(self.spread, FLOOR)
        total = np.float32(0)
        for j, column in enumerate(self.columns):
            own = work[j]
            total = total + own * own / spread[j]
            work[j + 1 :] -= own * column
        return total / np.float32(x.size)

    def learn(self, x: np.ndarray, weight: np.float32) -> None:
        """Takes a sample in, int8 [size]: method C1 of Gill, Golub, Murray and Saunders."""
        work = x.astype(np.float32) - self.mean
        self.mean = self.mean + weight * work
        if weight >= 1:
            return
        keep = np.float32(1) - weight
        for j, column in enumerate(self.columns):
            own, old = work[j], max(self.spread[j], FLOOR)
            part = weight * own
            grown = old + part * own
            slope = part / grown
            weight = weight * old / grown
            self.spread[j] = keep * grown
            work[j + 1 :] -= own * column
            column += slope * work[j + 1 :]

    def state_bytes(self) -> bytes:
        """As a saved file has it."""
        arrays = (self.mean, self.spread, *self.columns)
        return b"".join(array.astype("<f4").tobytes() for array in arrays)


def _edge(bin: int) -> np.float32:
    """The lower end of a bin."""
    return np.float32(np.uint32((bin + LOWEST) << 21).view(np.float32))


def _sum(parts: np.ndarray) -> np.float32:
    """From the first to the last, each sum rounded to float32."""
    return np.float32(np.cumsum(parts, dtype=np.float32)[-1])
