"""The learners: the C that ships, on this machine, and what it is compared with."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.emission import emit_step
from tinytrain.compiler.host_library import host_library
from tinytrain.errors import UsageError
from tinytrain.experiments.frozen import frozen_activations, frozen_identity
from tinytrain.experiments.learner import Learner, RateOf, Samples, Score
from tinytrain.experiments.spec import Run
from tinytrain.simulation.library import HostLibrary, LibrarySamples


class _Library:
    """The generated C with samples of which it need not compute the frozen layers again.

    Args:
        samples_key: cache key of the inputs of `samples`.
        cache: folder for libraries and frozen activations, shared by all runs.
    """

    def __init__(
        self, compiled: Compiled, samples: Samples, *, samples_key: str, cache: Path
    ) -> None:
        self._library = step_library(compiled, cache / "libraries")
        parts = (samples.train_x, samples.train_y), (samples.test_x, samples.test_y)
        if self._library.model.frozen_bytes:
            layers = frozen_identity(compiled)
            self._train, self._test = (
                LibrarySamples(
                    y,
                    None,
                    frozen_activations(
                        self._library, len(x), x.__getitem__, f"{layers}-{samples_key}-{k}", cache
                    ),
                )
                for k, (x, y) in enumerate(parts)
            )
        else:
            self._train, self._test = (LibrarySamples(y, x) for x, y in parts)


class EnrolLearner(_Library):
    """A `Learner` that enrols samples by the generated C, and trains nothing."""

    def train(self, order: np.ndarray) -> np.ndarray:
        """See `Learner`: enrols the samples."""
        self._library.enrolment.enrol(self._train, order)
        return np.empty(0, np.float32)

    def evaluate(self) -> Score:
        """See `Learner`: by the enrolled classes and the prototypes; the class -1 before any."""
        found = self._library.enrolment.classify(self._test)
        labels = self._test.targets
        predictions = np.full(len(labels), -1, np.int32) if found is None else found["label"]
        return Score(labels, None, predictions)


class CLearner(_Library):
    """A `Learner` that runs the generated C, which knows its schedule and its seed by itself.

    Args:
        rate: that the schedule starts from.
        samples_key, cache: of the samples, and for what all runs share.
        replay_steps: on remembered samples after each new one; 0 without a replay buffer.
        rehearsal_steps: on samples of the rehearsal set after those; 0 without one.
    """

    def __init__(
        self,
        compiled: Compiled,
        samples: Samples,
        rate: float,
        *,
        samples_key: str,
        cache: Path,
        replay_steps: int = 0,
        rehearsal_steps: int = 0,
    ) -> None:
        super().__init__(compiled, samples, samples_key=samples_key, cache=cache)
        self._behind = {"replay_steps": replay_steps, "rehearsal_steps": rehearsal_steps}
        # What the model's schedule starts from. The rate is no part of the library, which thus
        # serves the runs of all rates.
        self._library.set_learning_rate(rate)

    def train(self, order: np.ndarray) -> np.ndarray:
        """See `Learner`."""
        losses, _ = self._library.train(self._train, order, None, **self._behind)
        return losses

    def evaluate(self) -> Score:
        """See `Learner`."""
        losses, predictions = self._library.evaluate(self._test)
        return Score(self._test.targets, losses, predictions)

    def weights_sha256(self) -> str:
        """Of all trained parameters, as `simulate` gives it."""
        return self._library.weights_sha256()


def step_library(compiled: Compiled, cache: Path, *, optimise: str = "-O3") -> HostLibrary:
    """A training step as a library of this machine, without a folder around it.

    Args:
        cache: folder for libraries, shared by all runs.
        optimise: see `build_library`.

    Raises:
        UsageError: the model is a regression: an experiment compares accuracies.
    """
    if compiled.classes < 2:
        raise UsageError(
            f"model '{compiled.graph.name}' is a regression, which an experiment does not train",
            help="use 'tinytrain simulate'",
        )
    return host_library(emit_step(compiled), cache, optimise=optimise)


def make_learner(
    run: Run,
    compiled: Compiled,
    samples: Samples,
    rate_of: RateOf,
    *,
    samples_key: str,
    cache: Path,
) -> Learner:
    """The learner of a run's rule.

    Args:
        rate_of: as the model's schedule has it.
        samples_key, cache: see the learners.

    Raises:
        UsageError: the engine refuses an option.
    """
    engine = run.rule.engine
    if run.rule.enrols:
        return EnrolLearner(compiled, samples, samples_key=samples_key, cache=cache)
    if engine == "c":
        return CLearner(
            compiled,
            samples,
            run.rate,
            samples_key=samples_key,
            cache=cache,
            replay_steps=run.rule.replay_steps,
            rehearsal_steps=run.rule.rehearsal_steps,
        )
    # Only an experiment with such an engine loads PyTorch.
    from tinytrain.experiments.baseline.float_learner import FloatLearner

    return FloatLearner(
        compiled, samples, rate_of, run.seed, mode=engine, samples_key=samples_key, cache=cache
    )
