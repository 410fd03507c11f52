"""Generated folders that packages are made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.generated import compile_into
from tests.support.host_programs import Compile


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Compiles a small model, once for each name and options."""
    return compile_into(tmp_path_factory.mktemp("generated"))


@pytest.fixture(scope="session")
def two(generated: Compile) -> list[Path]:
    """Two models for two cores, each with kernels that the other does not call."""
    second = {"seed": 2, "shape": (1, 3, 9, 5), "classes": 3, "gradient": "s16"}
    return [
        generated("first", seed=1, target="mps2-an500"),
        generated("second", target="mps3-an547", scheme="last-1", replay=4, **second),
    ]
