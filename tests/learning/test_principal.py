"""Principal directions: those of LAPACK, with the same bytes on every machine."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from tinytrain.compiler.enrolment import _code_map
from tinytrain.compiler.principal import principal_directions, symmetric_eigen


def samples(count: int, size: int, rank: int | None = None) -> np.ndarray:
    rng = np.random.RandomState(count + size)
    own = rng.randint(-40, 41, (count, rank or size)) @ rng.randint(-2, 3, (rank or size, size))
    return np.clip(own, -128, 127).astype(np.int8)


@pytest.mark.parametrize(("count", "size"), [(80, 5), (64, 40), (70, 200), (9, 9), (2, 3), (5, 1)])
def test_they_are_those_of_lapack(count: int, size: int) -> None:
    x = samples(count, size)
    directions, variances = principal_directions(x, 20)
    _, lengths, wanted = np.linalg.svd(x - x.mean(0), full_matrices=False)
    found = len(variances)
    assert found == min(20, int((lengths > 1e-9 * lengths[0]).sum()))
    assert variances == pytest.approx(lengths[:found] ** 2 / count, rel=1e-9)
    assert np.abs((directions * wanted[:found]).sum(1)) == pytest.approx(np.ones(found), abs=1e-9)


def test_what_has_no_direction() -> None:
    assert len(principal_directions(np.full((70, 4), 3, np.int8), 9)[0]) == 0
    assert _code_map(np.full((70, 4), 3, np.int8)) is None
    flat = samples(70, 12, rank=2)
    assert len(principal_directions(flat, 9)[0]) <= 12


def test_eigenvalues_that_are_alike() -> None:
    for matrix in (np.zeros((3, 3)), np.eye(4), np.ones((5, 5)), np.diag([1.0, 1e-30, 1.0])):
        values, rows = symmetric_eigen(matrix)
        assert np.abs(rows @ matrix @ rows.T - np.diag(values)).max() < 1e-14
        assert np.abs(rows @ rows.T - np.eye(len(matrix))).max() < 1e-14


@pytest.mark.parametrize(
    ("count", "size", "digest"), [(100, 40, "7e35cf3fc5156af6"), (70, 200, "63ae2d1d57b29096")]
)
def test_a_map_has_the_same_bytes_everywhere(count: int, size: int, digest: str) -> None:
    found = _code_map(samples(count, size))
    assert found is not None
    arrays = found.matrix, found.bias, found.multiplier, found.shift
    data = b"".join(np.ascontiguousarray(one).tobytes() for one in arrays)
    assert hashlib.sha256(data).hexdigest()[:16] == digest
