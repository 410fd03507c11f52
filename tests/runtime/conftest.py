"""The runtime, compiled several ways; a test that takes `kernels` runs once for each."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.support.runtime.build import build
from tests.support.runtime.kernels import Kernels

VARIANTS = {
    "gcc-O0": ("gcc", "-O0"),
    "gcc-O3": ("gcc", "-O3"),
    "clang-O0": ("clang", "-O0"),
    "clang-O3": ("clang", "-O3"),
    # What cores without vector registers, and those without long products, compile.
    "gcc-O2-scalar": ("gcc", "-O2", "-DTT_VECTORS=0"),
    "clang-O2-short": ("clang", "-O2", "-DTT_VECTORS=0", "-DTT_SHORT_PRODUCTS=1"),
}
LIBRARY = "TINYTRAIN_TEST_RUNTIME"
"""Environment variable: a library to test in place of the variants (test_sanitizers sets it)."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kernels" in metafunc.fixturenames:
        given = os.environ.get(LIBRARY)
        names = [given] if given else list(VARIANTS)
        metafunc.parametrize(
            "kernels", names, ids=["given"] if given else names, indirect=True, scope="session"
        )


@pytest.fixture(scope="session")
def kernels(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    """The kernels of one compiled variant."""
    name = request.param
    if name not in VARIANTS:
        return Kernels(Path(name))
    return Kernels(build(tmp_path_factory.mktemp(name), *VARIANTS[name]))


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """A generator whose seed is the test's own name, so that no test moves another's numbers."""
    name = request.node.originalname
    return np.random.default_rng(list(name.encode()))
