"""Running metrics and early stop: the C against its twin, and what they are for."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from tests.support.runtime.cases import Rng, same
from tests.support.runtime.kernels import Kernels
from tinytrain.reference.metrics import VERDICTS, EarlyStop, Metrics


class CResult(ctypes.Structure):
    """`tt_result`."""

    _fields_ = (("loss", ctypes.c_float), ("prediction", ctypes.c_int32))


class CMetrics(ctypes.Structure):
    """`tt_metrics`."""

    _fields_ = (("count", ctypes.c_uint32), ("correct", ctypes.c_uint32), ("loss", ctypes.c_float))


class CEarlyStop(ctypes.Structure):
    """`tt_early_stop`."""

    _fields_ = (
        ("best", ctypes.c_float),
        ("min_delta", ctypes.c_float),
        ("patience", ctypes.c_uint16),
        ("waited", ctypes.c_uint16),
    )


@pytest.mark.parametrize("last", [1.0, np.inf, np.nan])
def test_metrics(last: float, kernels: Kernels, rng: Rng) -> None:
    losses = (rng.exponential(2.0, 3000)).astype(np.float32)
    losses[-2] = last
    right = rng.random(3000) < 0.4
    found, twin = CMetrics(9, 9, 9.0), Metrics()
    kernels.call("metrics_reset", found)
    for loss, is_correct in zip(losses, right, strict=True):
        result = CResult(float(loss), 3 if is_correct else 2)
        kernels.call("metrics_add", found, result, 3)
        twin.add(loss, is_correct=bool(is_correct))
    assert (found.count, found.correct) == (twin.count, twin.correct) == (3000, right.sum())
    same(np.float32([found.loss]), np.float32([twin.loss]))
    accuracy = kernels.call("metrics_accuracy", found, restype=ctypes.c_float)
    same(np.float32([accuracy]), np.float32([twin.accuracy]))
    assert twin.accuracy == np.float32(right.mean())
    if last == 1.0:
        assert twin.loss == pytest.approx(losses.astype(float).mean(), rel=1e-5)
    else:
        assert not np.isfinite(twin.loss)


@pytest.mark.parametrize(
    ("patience", "delta", "scores", "verdicts"),
    [
        (2, 0.0, [0.5, 0.5, 0.6, 0.6, 0.1], "improved waiting improved waiting stop"),
        (1, 0.1, [0.5, 0.55], "improved stop"),
        (1, 0.0, [-3.0, -2.0, -2.5], "improved improved stop"),
        (0, 0.0, [1.0, 0.0, 0.0], "improved waiting waiting"),
        (3, 0.0, [np.nan, -np.inf, 0.2, np.nan], "waiting waiting improved waiting"),
        (1, 0.0, [np.nan], "stop"),
        (2, 0.0, [0.5, np.inf, 0.6, np.inf, np.inf], "improved waiting improved waiting stop"),
        (1, np.inf, [0.5], "stop"),
    ],
)
def test_early_stop(
    patience: int, delta: float, scores: list[float], verdicts: str, kernels: Kernels
) -> None:
    found, twin = CEarlyStop(), EarlyStop(patience, np.float32(delta))
    kernels.call("early_stop_reset", found, ctypes.c_float(delta), patience)
    told = []
    for score in scores:
        verdict = kernels.call("early_stop_add", found, ctypes.c_float(score), restype=ctypes.c_int)
        told.append(twin.add(np.float32(score)))
        assert VERDICTS[verdict] == told[-1]
    assert told == verdicts.split()
    same(np.float32([found.best]), np.float32([twin.best]))
    assert found.waited == twin.waited


def test_counts_outlast_32_bits(kernels: Kernels) -> None:
    full = 2**32 - 1
    found = CMetrics(full, full - 1, 2.0)
    for label in (3, 4, 3):
        kernels.call("metrics_add", found, CResult(2.0, 3), label)
    assert (found.count, found.correct, found.loss) == (full // 2 + 3, full // 2 + 2, 2.0)
    accuracy = kernels.call("metrics_accuracy", found, restype=ctypes.c_float)
    assert accuracy == 1.0


def test_balanced_accuracy(kernels: Kernels) -> None:
    each = (CMetrics * 3)(CMetrics(90, 90, 0.0), CMetrics(0, 0, 0.0), CMetrics(4, 1, 0.0))
    found = kernels.call("metrics_balanced_accuracy", each, 3, restype=ctypes.c_float)
    assert found == 0.625
    nothing = (CMetrics * 1)(CMetrics(0, 0, 0.0))
    assert kernels.call("metrics_balanced_accuracy", nothing, 1, restype=ctypes.c_float) == 0.0
