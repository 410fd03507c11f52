"""The learners: the C that ships, on this machine, and what it is compared with."""

from __future__ import annotations

import importlib
import inspect
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinytrain.compile import emit_step
from tinytrain.emit.runtime_files import runtime_files
from tinytrain.errors import UsageError
from tinytrain.experiment.frozen import frozen_identity, kept_results
from tinytrain.experiment.learner import Learner, RateOf, Samples, Score
from tinytrain.pipeline import Compiled
from tinytrain.simulate.library import (
    HostLibrary,
    LibraryModel,
    LibrarySamples,
    build_library,
)


class CLearner:
    """A `Learner` that runs the generated C, which knows its rates and its seed by itself.

    Args:
        word: stands for the inputs of `samples`.
        cache: folder for libraries and results of frozen layers, shared by all runs.
    """

    def __init__(
        self,
        compiled: Compiled,
        samples: Samples,
        rate_of: RateOf,
        seed: int,
        *,
        word: str,
        cache: Path,
    ) -> None:
        self._library = _library(compiled, cache / "libraries")
        parts = (samples.train_x, samples.train_y), (samples.test_x, samples.test_y)
        if self._library.model.frozen_bytes:
            layers = frozen_identity(compiled)
            self._train, self._test = (
                LibrarySamples(
                    y, None, kept_results(self._library, x, f"{layers}-{word}-{k}", cache)
                )
                for k, (x, y) in enumerate(parts)
            )
        else:
            self._train, self._test = (LibrarySamples(y, x) for x, y in parts)

    def train(self, order: np.ndarray) -> np.ndarray:
        """See `Learner`."""
        losses, _ = self._library.train(self._train, order)
        return losses

    def evaluate(self) -> Score:
        """See `Learner`."""
        losses, predictions = self._library.evaluate(self._test)
        right = predictions == self._test.labels
        return Score(float(np.mean(right)), float(np.mean(losses, dtype=np.float64)))

    def weights_sha256(self) -> str:
        """Of all trained parameters, as `simulate` gives it."""
        return self._library.weights_sha256()


def _library(compiled: Compiled, cache: Path) -> HostLibrary:
    files = emit_step(compiled)
    name = compiled.graph.name
    sources = {f"src/{file}": text for file, text in files.files.items()}
    sources |= runtime_files(files.files[f"{name}.c"])
    model = LibraryModel(
        name,
        compiled.classes,
        compiled.graph.inputs[0].type.size,
        files.saved_bytes,
        files.frozen_bytes,
    )
    with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
        for file, text in sources.items():
            path = Path(place, file)
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
        return HostLibrary(build_library(Path(place), model, cache), model)


def make_learner(
    engine: str,
    compiled: Compiled,
    samples: Samples,
    rate_of: RateOf,
    seed: int,
    settings: Mapping[str, Any],
    *,
    word: str,
    cache: Path,
) -> Learner:
    """The learner of a rule.

    Args:
        engine: one of `spec.ENGINES`.
        settings: for an engine in PyTorch.
        word, cache: see the learners.

    Raises:
        UsageError: PyTorch is not installed, or refuses a setting.
    """
    if engine == "c":
        return CLearner(compiled, samples, rate_of, seed, word=word, cache=cache)
    learner: Learner = _float_learner()(
        compiled, samples, rate_of, seed, mode=engine, word=word, cache=cache, **settings
    )
    return learner


def float_settings() -> frozenset[str]:
    """Names of the settings that a rule may give to an engine in PyTorch.

    Raises:
        UsageError: PyTorch is not installed.
    """
    parameters = inspect.signature(_float_learner()).parameters.values()
    own = {"mode", "frozen_memory", "word", "cache"}
    return frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY) - own


def _float_learner() -> Any:
    try:
        module = importlib.import_module("tinytrain.experiment.float_learner")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise UsageError(
            "engines 'float' and 'float-masters' need PyTorch, which is not installed",
            way_out="pip install 'tinytrain[torch]', or leave these rules out",
        ) from error
    return module.FloatLearner
