"""Small models that are compiled to folders, once for each name and options."""

from __future__ import annotations

from pathlib import Path

from tests.support.host_programs import Compile
from tests.support.onnx_models import quantized_model
from tinytrain.compiler.compile import compile_model


def compile_into(root: Path) -> Compile:
    """A function that compiles a small model below `root`, or gives the folder that it made."""
    known: dict[str, Path] = {}

    def make(
        name: str,
        *,
        seed: int = 0,
        rounding_seed: int = 0,
        shape: tuple[int, ...] = (1, 3, 6, 6),
        target: str = "host",
        **options: object,
    ) -> Path:
        # Programs set rates of all sizes.
        options = {"rate_limit": 1024.0, "seed": rounding_seed, **options}
        key = repr((name, seed, shape, target, sorted(options.items())))
        if key not in known:
            folder = root / f"{name}-{len(known)}"
            model = quantized_model(root / f"{name}.onnx", seed=seed, shape=shape)
            compile_model(str(model), output=folder, target=target, name=name, **options)
            known[key] = folder
        return known[key]

    return make
