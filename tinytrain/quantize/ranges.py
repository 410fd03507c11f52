"""Ranges of activations: from a histogram to scale and zero point, by a stated method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tinytrain.ir.types import Quantization
from tinytrain.quantize.limits import LEAST_SCALE

BINS = 2048


@dataclass
class Histogram:
    """Counts of values in `BINS` equal bins between the smallest and the largest one.

    The limits are found first (`widen`), the counts in a second pass (`count`).
    """

    low: float = np.inf
    high: float = -np.inf
    counts: np.ndarray = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))

    def widen(self, values: np.ndarray) -> None:
        """First pass: takes the values into the limits."""
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))

    def count(self, values: np.ndarray) -> None:
        """Second pass: counts the values."""
        if self.high > self.low:
            # Between neighbouring numbers of float32 there is room for bins in float64 only.
            step = np.spacing(np.float32(max(abs(self.low), abs(self.high))))
            if self.high - self.low <= BINS * step:
                values = values.astype(np.float64)
            self.counts += np.histogram(values, bins=BINS, range=(self.low, self.high))[0]

    @property
    def centres(self) -> np.ndarray:
        """The middle of each bin."""
        width = (self.high - self.low) / BINS
        return self.low + width * (np.arange(BINS) + 0.5)


Range = tuple[float, float]


def _minmax(histogram: Histogram) -> Range:
    return histogram.low, histogram.high


def _percentile(histogram: Histogram, share: float = 0.9999) -> Range:
    total = histogram.counts.sum()
    cumulated = np.cumsum(histogram.counts)
    centres = histogram.centres
    low = centres[np.searchsorted(cumulated, (1 - share) * total)]
    high = centres[min(np.searchsorted(cumulated, share * total), BINS - 1)]
    # A one-sided activation keeps its exact limit: zero, for a relu.
    return (
        histogram.low if histogram.low >= 0 else float(low),
        histogram.high if histogram.high <= 0 else float(high),
    )


def _mse(histogram: Histogram) -> Range:
    used = histogram.counts > 0
    centres, counts = histogram.centres[used], histogram.counts[used].astype(np.float64)

    def error(limits: Range) -> float:
        meaning = affine(limits)
        scale, zero = meaning.scale[0], meaning.zero_point
        q = np.clip(np.rint(centres / scale) + zero, -128, 127)
        return float((counts * (scale * (q - zero) - centres) ** 2).sum())

    best = (histogram.low, histogram.high)
    least = error(best)
    shrinks: tuple[Callable[[float], Range], ...] = (
        lambda part: (histogram.low * part, histogram.high * part),
        lambda part: (best[0] * part, best[1]),
        lambda part: (best[0], best[1] * part),
    )
    for shrink in shrinks:
        # `best` is read afresh by the later two, which move one end at a time from where it stands.
        candidates = [shrink(part) for part in np.linspace(1.0, 0.2, 81)]
        for candidate in candidates:
            found = error(candidate)
            if found < least:
                least, best = found, candidate
    return best


METHODS: dict[str, Callable[[Histogram], Range]] = {
    "mse": _mse,
    "minmax": _minmax,
    "percentile": _percentile,
}


UNSEEN = Quantization((1.0,), 0)
"""Of a value that was zero in every sample."""

LEAST = float(np.float32(LEAST_SCALE))
"""Scale of a value that no sample made larger: what is smaller than half of it becomes 0."""


def affine(limits: Range) -> Quantization:
    """Asymmetric s8 quantization of a range, widened to hold zero, which is exactly representable.

    Source: Jacob et al., arXiv:1712.05877, section 3. A range that starts at zero gets zero point
    -128, so that a relu before it costs nothing. A range too small to compute with gets `LEAST`.
    """
    low, high = min(limits[0], 0.0), max(limits[1], 0.0)
    scale = float(np.float32((high - low) / 255))
    if not scale >= float(np.finfo(np.float32).tiny):
        return UNSEEN
    scale = max(scale, LEAST)
    return Quantization((scale,), int(np.clip(round(-128 - low / scale), -128, 127)))


def choose(histogram: Histogram, method: str) -> Quantization:
    """Scale and zero point for what a histogram has seen."""
    if not histogram.high > histogram.low:
        return affine((histogram.low, histogram.high))
    return affine(METHODS[method](histogram))
