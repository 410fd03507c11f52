"""What the tables of the benchmarks share."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def spread(values: Sequence[float], *, scale: float = 100.0, digits: int = 1) -> str:
    """Mean ± standard deviation over seeds, in percent unless `scale` says otherwise."""
    mean, deviation = statistics.mean(values), statistics.stdev(values)
    return f"{scale * mean:.{digits}f} ± {scale * deviation:.{digits}f}"
