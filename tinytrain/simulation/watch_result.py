"""What watching showed, from what its engine observed."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field

import numpy as np

from tinytrain.reference.anomaly import Verdict
from tinytrain.simulation.engine import RawOutcome
from tinytrain.simulation.folder import GeneratedFolder
from tinytrain.simulation.stream import SampleStream


@dataclass(frozen=True)
class WatchResult:
    """What watching showed; a figure that was not measured is None.

    Attributes:
        on: the engine that ran: "host" or "qemu", or the name of another one.
        watched: samples.
        learned: of these, samples that were learned from.
        flagged: share of the samples watched after the warm-up whose score was above the
            threshold.
        alarms: how often the verdict became anomalous.
        threshold: after the last sample; None during the warm-up.
        warm_up: samples that are taken as normal at first.
        warming_up: whether these have not all come yet, so that there is no threshold, and no
            figure that needs one.
        auc_before, auc: probability that a sample that is not normal scores higher than one that
            is, before the first and after the last sample was watched; by features that nothing was
            learned of there is none.
        detected: share of the evaluation samples that are not normal, with a score above the
            threshold.
        false_alarms: the same of those that are normal.
        instructions: of a sample that is watched, the mean.
        stack_used: deepest stack in bytes.
        weights_sha256: of the trained parameters.
        scores: of each sample watched, in order.
        saved: the saved file.
    """

    on: str
    watched: int
    learned: int
    flagged: float | None
    alarms: int
    threshold: float | None
    warm_up: int
    warming_up: bool
    auc_before: float | None
    auc: float | None
    detected: float | None
    false_alarms: float | None
    instructions: int | None
    stack_used: int | None
    weights_sha256: str
    scores: tuple[float, ...] = field(repr=False)
    saved: bytes = field(repr=False)

    def to_json(self) -> str:
        """All figures, without the scores and the saved file."""
        figures = asdict(self)
        del figures["scores"], figures["saved"]
        return json.dumps(figures, indent=2)


def area_under_curve(scores: np.ndarray, flags: np.ndarray) -> float | None:
    """The probability that a flagged score is higher than another, ties counted half (Hanley and
    McNeil 1982); None where one kind is missing.

    Args:
        scores: [n], none a NaN.
        flags: bool [n].
    """
    count = int(flags.sum())
    others = flags.size - count
    if not count or not others:
        return None
    _, index, occurs = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(occurs) - (occurs - 1) / 2
    return float((ranks[index][flags].sum() - count * (count + 1) / 2) / (count * others))


def summarize_watch(
    folder: GeneratedFolder, stream: SampleStream, raw: RawOutcome, flags: np.ndarray, *, on: str
) -> WatchResult:
    """The figures of a session that watched.

    Args:
        flags: which evaluation samples are not normal.
    """
    before, watched, after = (raw.judged[kind] for kind in ("before", "watch", "after"))
    judged = watched[watched["verdict"] != Verdict.WARMING_UP]
    turned = np.diff(watched["verdict"] == Verdict.ANOMALOUS, prepend=False)
    over = after["score"] > after["threshold"]
    anomaly = folder.manifest.anomaly
    assert anomaly is not None, "the model was checked"
    last = after[-1:] if after.size else watched[-1:]
    threshold = float(last["threshold"][0]) if last.size else math.inf
    learned = int(watched["learned"].sum())
    warms_up = last["verdict"] == Verdict.WARMING_UP
    is_warm = bool(not warms_up.any() and last.size) or learned >= anomaly.warm_up
    # Of features nothing is known before the first sample.
    knows = not anomaly.features or bool((before["verdict"] != Verdict.WARMING_UP).all())
    assert raw.saved is not None, "an engine that watches saves"
    return WatchResult(
        on=on,
        watched=len(watched),
        learned=learned,
        flagged=_share(judged["score"] > judged["threshold"]),
        alarms=int(np.count_nonzero(turned & (watched["verdict"] == Verdict.ANOMALOUS))),
        threshold=threshold if math.isfinite(threshold) else None,
        warm_up=anomaly.warm_up,
        warming_up=not is_warm,
        auc_before=area_under_curve(before["score"], flags) if knows else None,
        auc=area_under_curve(after["score"], flags),
        detected=_share(over[flags]) if is_warm else None,
        false_alarms=_share(over[~flags]) if is_warm else None,
        instructions=round(np.mean(raw.step_instructions)) if raw.step_instructions else None,
        stack_used=raw.stack_used,
        weights_sha256=hashlib.sha256(raw.weights).hexdigest(),
        scores=tuple(watched["score"].tolist()),
        saved=raw.saved,
    )


def _share(found: np.ndarray) -> float | None:
    return float(found.mean()) if found.size else None
