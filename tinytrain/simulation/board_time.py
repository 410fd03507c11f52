"""How long a board took, beside what was estimated."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tinytrain.simulation.engine import RawOutcome
from tinytrain.simulation.folder import GeneratedFolder


@dataclass(frozen=True)
class BoardTime:
    """Milliseconds by a board's own clock, the first of each left out.

    Attributes:
        ms_per_step: mean of the training steps on new samples; None for less than two.
        ms_per_inference: the same of inferences.
        estimated_ms_per_step: what `report` estimates for the target, the least and the most; None
            where nothing is estimated.
    """

    ms_per_step: float | None
    ms_per_inference: float | None
    estimated_ms_per_step: tuple[float, float] | None


def board_time(folder: GeneratedFolder, outcome: RawOutcome) -> BoardTime | None:
    """The times of a session; None where no board measured any."""
    if not (outcome.step_seconds or outcome.infer_seconds):
        return None
    found = folder.manifest.speed.seconds
    return BoardTime(
        _steady_ms(outcome.step_seconds),
        _steady_ms(outcome.infer_seconds),
        None if found is None else (1e3 * found[0], 1e3 * found[1]),
    )


def _steady_ms(seconds: Sequence[float]) -> float | None:
    return 1e3 * statistics.mean(seconds[1:]) if len(seconds) > 1 else None
