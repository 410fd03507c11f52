"""A session that watches, on the NumPy reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from tinytrain.emit.anomaly import Anomaly
from tinytrain.ir.graph import Graph, Value
from tinytrain.reference.anomaly import (
    AnomalyWatch,
    CovarianceStatistics,
    DiagonalStatistics,
    Use,
)
from tinytrain.reference.interpret import Machine
from tinytrain.reference.machine import Scale
from tinytrain.reference.packed import step_inputs
from tinytrain.reference.schedule import CONSTANT, RateSchedule
from tinytrain.simulation.engine import Evaluation, Progress, RawOutcome
from tinytrain.simulation.judged import JUDGED
from tinytrain.simulation.reference_state import state_bytes
from tinytrain.simulation.stream import SampleStream

_Row = tuple[float, float, int, int, int]


class WatchReference:
    """Runs a scheduled training graph; an `Engine` for streams that watch.

    Args:
        graph: what the folder was emitted from.
        anomaly: how it is watched.
        features: the values whose elements, one after the other, are scored; none where the loss
            is.
        scales: initial scales of the gradients.
        rate: learning rate.
        seed: of the random numbers that round updates.
        schedule: of the learning rate.
    """

    def __init__(
        self,
        graph: Graph,
        anomaly: Anomaly,
        features: tuple[Value, ...],
        scales: Mapping[str, Scale],
        rate: float,
        seed: int,
        schedule: RateSchedule = CONSTANT,
    ) -> None:
        self._rate = rate
        self._graph, self._inputs = graph, partial(step_inputs, graph)
        self._features = features
        self._watch = AnomalyWatch(anomaly.rule)
        kind = CovarianceStatistics if anomaly.kind == "covariance" else DiagonalStatistics
        self._statistics = kind(anomaly.features)
        self._machine = Machine(graph, rate=float(np.float32(rate)), schedule=schedule, seed=seed)
        for name, scale in scales.items():
            self._machine.scales[name] = replace(scale)
        self._trial = self._machine.trial(with_loss=not features)

    def run(self, stream: SampleStream, progress: Progress) -> RawOutcome:
        """See `Engine`."""
        judge = self._judge_features if self._features else self._judge_error
        before = [judge(*pair, Use.SCORE) for pair in stream.eval_samples()]
        watched = [judge(*pair, Use.WATCH) for pair in stream.train_samples()]
        after = [judge(*pair, Use.SCORE) for pair in stream.eval_samples()]
        weights = self._machine.weights_bytes()
        learned = self._watch.state_bytes()
        learned += self._statistics.state_bytes() if self._features else b""
        return RawOutcome(
            losses=np.empty(0, np.float32),
            predictions=(),
            before=Evaluation(),
            after=Evaluation(),
            weights=weights,
            saved=weights + learned + state_bytes(self._machine, self._rate),
            health=self._machine.health,
            judged={
                kind: np.array(rows, JUDGED)
                for kind, rows in (("before", before), ("watch", watched), ("after", after))
            },
        )

    def _judge_error(self, sample: np.ndarray, wanted: np.ndarray, use: Use) -> _Row:
        inputs = self._inputs(sample, wanted)
        score = np.float32(self._trial.run(inputs)[self._graph.outputs[0]][0])
        return self._judged(score, use, lambda: self._machine.run(inputs))

    def _judge_features(self, sample: np.ndarray, wanted: np.ndarray, use: Use) -> _Row:
        known = self._trial.run(self._inputs(sample, wanted))
        x = np.concatenate([known[value].ravel() for value in self._features])
        score = self._statistics.score(x)
        if isinstance(self._statistics, CovarianceStatistics):
            score = self._watch.corrected(score, x.size)
        return self._judged(score, use, lambda: self._statistics.learn(x, self._watch.weight))

    def _judged(self, score: np.float32, use: Use, learn: Callable[[], object]) -> _Row:
        found = self._watch.judge(score, use)
        if found.learned:
            learn()
        return float(score), float(found.threshold), int(found.verdict), int(found.learned), -1
