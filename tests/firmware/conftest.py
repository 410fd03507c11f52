"""Generated folders, and small C programs that use them as an application would."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.host_programs import Compile
from tests.support.onnx_models import quantized_model
from tinytrain.compiler.compile import compile_model


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Compiles a small model, once for each name and options."""
    root = tmp_path_factory.mktemp("generated")
    known: dict[str, Path] = {}

    def make(
        name: str,
        *,
        seed: int = 0,
        shape: tuple[int, ...] = (1, 3, 6, 6),
        target: str = "host",
        **options: object,
    ) -> Path:
        # Programs set rates of all sizes.
        options = {"rate_limit": 1024.0, **options}
        key = repr((name, seed, shape, target, sorted(options.items())))
        if key not in known:
            folder = root / f"{name}-{len(known)}"
            model = quantized_model(root / f"{name}.onnx", seed=seed, shape=shape)
            compile_model(str(model), output=folder, target=target, name=name, **options)
            known[key] = folder
        return known[key]

    return make


@pytest.fixture(scope="session", autouse=True)
def host_compiler() -> None:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing")
