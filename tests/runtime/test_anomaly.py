"""The reference of what is normal beside double precision, and the bound of its quantile."""

from __future__ import annotations

import numpy as np
import pytest

from tinytrain.reference.anomaly import (
    BINS,
    FLOOR,
    LOWEST,
    MARGIN,
    WARM_UPS,
    AnomalyRule,
    AnomalyWatch,
    CovarianceStatistics,
    DiagonalStatistics,
    Use,
    Verdict,
)

RULE = AnomalyRule(warm_up=64, quantile=0.9, in_a_row=3)


def judged(watch: AnomalyWatch, score: float, use: Use = Use.WATCH) -> tuple[Verdict, bool]:
    found = watch.judge(np.float32(score), use)
    return found.verdict, found.learned


def warmed_up(rule: AnomalyRule = RULE) -> AnomalyWatch:
    watch = AnomalyWatch(rule)
    for score in np.random.default_rng(0).uniform(1, 2, rule.warm_up):
        assert judged(watch, score) == (Verdict.WARMING_UP, True)
    return watch


def test_bins_reach_as_far_as_scores_and_hold_their_counts() -> None:
    assert np.uint32(LOWEST << 21).view(np.float32) == 2.0**-40
    assert np.uint32((LOWEST + BINS) << 21).view(np.float32) == 2.0**24
    # Counts of a window have room in 16 bits, and a sum of edited ones in 32.
    assert 4 * WARM_UPS[-1] < 2**16 and BINS * (2**16 - 1) < 2**32


@pytest.mark.parametrize("scale", [2.0**-38, 1e-3, 1.0, 2.0**20])
@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.98])
def test_the_quantile_is_that_of_the_scores_counted(scale: float, quantile: float) -> None:
    rule = AnomalyRule(warm_up=400, quantile=quantile, in_a_row=1)
    watch = AnomalyWatch(rule)
    scores = (scale * np.random.default_rng(1).gamma(2.0, size=400)).astype(np.float32)
    for score in scores:
        watch.judge(score, Use.WATCH)
    counted = np.sort(scores[200:])  # those of the latter half
    tail = 200 * rule.tail >> 32
    exact = counted[-1 - tail]
    found = watch.judge(np.float32(0), Use.SCORE).threshold / MARGIN
    assert exact * 4 / 5 < found < exact * 5 / 4


def test_what_lies_beyond_the_bins_is_not_told_apart() -> None:
    watch = AnomalyWatch(RULE)
    for _ in range(RULE.warm_up):
        watch.judge(np.float32(2.0**25), Use.WATCH)
    assert watch.judge(np.float32(2.0**30), Use.WATCH).threshold == np.inf


def test_a_verdict_needs_samples_in_a_row_to_change() -> None:
    watch = warmed_up()
    normal, anomalous = Verdict.NORMAL, Verdict.ANOMALOUS
    assert [judged(watch, 9) for _ in range(2)] == [(normal, False)] * 2
    assert judged(watch, 1) == (normal, True)  # the row is broken
    assert [judged(watch, 9)[0] for _ in range(3)] == [normal, normal, anomalous]
    # While it is anomalous nothing is learned, not even what looks normal.
    assert [judged(watch, 1) for _ in range(2)] == [(anomalous, False)] * 2
    assert judged(watch, 1) == (normal, True)


def test_nothing_above_the_threshold_is_counted() -> None:
    watch = warmed_up()
    before = watch.judge(np.float32(1), Use.SCORE).threshold
    for _ in range(500):
        assert judged(watch, 50)[1] is False
    assert watch.judge(np.float32(1), Use.SCORE).threshold == before


def test_known_normal_samples_raise_the_threshold() -> None:
    watch = warmed_up()
    for _ in range(3):
        judged(watch, 9)
    for _ in range(40):
        assert judged(watch, 9, Use.LEARN) == (Verdict.NORMAL, True)
    assert judged(watch, 9) == (Verdict.NORMAL, True)


def test_continued_learning_does_not_close_in_on_itself() -> None:
    """Exponential scores, a heavy tail: from a quantile of 0.98 about 1.6 % stay above it."""
    rule = AnomalyRule(warm_up=256, quantile=0.98, in_a_row=1000)
    watch = AnomalyWatch(rule)
    scores = np.random.default_rng(2).exponential(size=12_000).astype(np.float32)
    left = [not watch.judge(score, Use.WATCH).learned for score in scores]
    assert 0.005 < np.mean(left[2000:6000]) < 0.03
    assert 0.005 < np.mean(left[6000:]) < 0.03


def features(count: int, size: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    mixed = rng.normal(size=(count, size)) @ rng.normal(0, 10, (size, size)) + 5
    return np.clip(np.rint(mixed), -128, 127).astype(np.int8)


def weighted(x: np.ndarray, weights: list[np.float32]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance by the recursion of Finch, in double precision."""
    mean, covariance = np.zeros(x.shape[1]), np.zeros((x.shape[1],) * 2)
    for row, weight in zip(x.astype(np.float64), np.float64(weights), strict=True):
        deviation = row - mean
        mean += weight * deviation
        covariance = (1 - weight) * (covariance + weight * np.outer(deviation, deviation))
    return mean, covariance


@pytest.mark.parametrize("count", [300, 900])
def test_means_and_covariances_are_those_of_double_precision(count: int) -> None:
    """Beyond 256 samples the weight stays at 1/256, and old samples fade."""
    watch = AnomalyWatch(RULE)
    x = features(count, 12)
    diagonal, full = DiagonalStatistics(12), CovarianceStatistics(12)
    weights = []
    for row in x:
        watch.judge(np.float32(1), Use.LEARN)
        weights.append(watch.weight)
        diagonal.learn(row, watch.weight)
        full.learn(row, watch.weight)
    mean, covariance = weighted(x, weights)
    if count <= RULE.window:
        assert np.allclose(mean, x.mean(0)) and np.allclose(covariance, np.cov(x.T, bias=True))
    assert np.allclose(diagonal.mean, mean, atol=1e-3)
    assert np.allclose(diagonal.variance, covariance.diagonal(), rtol=1e-3)
    lower = np.eye(12)
    for j, column in enumerate(full.columns):
        lower[j + 1 :, j] = column
    made = lower @ np.diag(full.spread.astype(np.float64)) @ lower.T
    assert np.abs(made - covariance).max() < 2e-3 * covariance.max()

    probe = features(5, 12)[4]
    deviation = probe - mean
    wanted = deviation @ np.linalg.solve(covariance, deviation) / 12
    assert full.score(probe) == pytest.approx(wanted, rel=0.02)
    spread = np.maximum(covariance.diagonal(), FLOOR)
    assert diagonal.score(probe) == pytest.approx(np.mean(deviation**2 / spread), rel=1e-3)


def test_few_samples_do_not_make_a_new_one_seem_far_off() -> None:
    """The corrected distance of new samples is about 1 from twice as many samples on as there are
    features; without the correction it would be about 2 there."""
    size, rule = 24, AnomalyRule(warm_up=96, quantile=0.9, in_a_row=1)
    rng = np.random.default_rng(5)
    found: dict[int, list[float]] = {64: [], 96: [], 384: []}
    for _ in range(4):
        watch, statistics = AnomalyWatch(rule), CovarianceStatistics(size)
        x = np.rint(rng.normal(0, 20, (484, size))).clip(-128, 127).astype(np.int8)
        for count in range(384):
            watch.judge(np.float32(1), Use.LEARN)
            statistics.learn(x[count], watch.weight)
            if count + 1 in found:
                scores = [watch.corrected(statistics.score(row), size) for row in x[384:]]
                found[count + 1].append(float(np.mean(scores)))
    assert all(0.85 < np.mean(scores) < 1.2 for scores in found.values()), found
