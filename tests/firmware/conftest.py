"""Generated folders, and small C programs that use them as an application would."""

from __future__ import annotations

import shutil

import pytest

from tests.support.generated import compile_into
from tests.support.host_programs import Compile


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Compiles a small model, once for each name and options."""
    return compile_into(tmp_path_factory.mktemp("generated"))


@pytest.fixture(scope="session", autouse=True)
def host_compiler() -> None:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing")
