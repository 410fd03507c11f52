"""A case compiled, and learned in this process by the C that ships."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.adapting.cases import Case
from bench.adapting.networks import FOLDER, HERE
from bench.networks import store
from bench.networks.worlds import Samples
from tinytrain.compiler.compile import compile_model
from tinytrain.compiler.folder import Product
from tinytrain.compiler.race_samples import with_frozen
from tinytrain.data import Dataset
from tinytrain.data.dataset import load_dataset
from tinytrain.experiments.identity import code_digest
from tinytrain.experiments.once import computed_once
from tinytrain.losses import SampleTarget
from tinytrain.manifest import read_manifest
from tinytrain.reference.schedule import parse_schedule, rate_at
from tinytrain.simulation.library import HostLibrary, LibrarySamples
from tinytrain.simulation.library_build import build_library
from tinytrain.simulation.stream import training_order

PARTS = ("calibration", "learn", "judge", "past")
ORDERS = ("shuffled", "by-class", "as-is")


def files(case: Case) -> dict[str, Path]:
    """The samples of a case as .npz files that the command line takes, by the names of `PARTS`.

    `judge` of a case that learns what is normal has its labels as `fault`, not as `y`.
    """
    parts = case.parts()
    found = {}
    for name in PARTS:
        samples: Samples | None = getattr(parts, name)
        if samples is not None:
            found[name] = _file(case, name, samples)
    return found


def _file(case: Case, name: str, samples: Samples) -> Path:
    unlabelled = case.task == "normal"
    labels = b"" if samples.y is None else samples.y.tobytes()
    decided = store.digest((samples.x.tobytes(), labels))
    folder = FOLDER / "data"
    folder.mkdir(parents=True, exist_ok=True)

    def compute(path: Path) -> None:
        with path.open("wb") as file:
            if unlabelled and samples.y is not None:
                np.savez(file, x=samples.x, fault=samples.y)
            elif samples.y is None:
                np.savez(file, x=samples.x)
            else:
                np.savez(file, x=samples.x, y=samples.y)

    return computed_once(folder / f"{case.key}-{name}-{decided}.npz", compute)


def kept(case: Case, what: str, decides: tuple[Any, ...], find: Callable[[], Any]) -> Any:
    """A JSON value that follows from a case: read from build/adapting if it was found before by the
    same sources of tinytrain and of the cases, else found and kept.

    Args:
        what: names it in the file's name.
        decides: all else that the value follows from.
    """
    cases = store.sources(HERE, "cases.py", "networks.py", "running.py", "worlds.py")
    decided = (code_digest(), cases, case.key, what, *decides)
    return store.kept(f"{case.key}-{what}", decided, find, folder=FOLDER)


def compiled(case: Case, output: Path, **options: Any) -> Product:
    """The network of a case as a folder of C that learns it.

    Args:
        output: the folder to write.
        options: of `compile_model`, in place of the case's or beside them.
    """
    # Rates are tried on purpose that the device would refuse.
    chosen: dict[str, Any] = {"scheme": case.scheme, "rate_limit": 1024.0, **case.images}
    if case.classes is not None:
        chosen["classes"] = case.classes
    if case.task == "normal":
        chosen["loss"] = "mean_squared_error"
    chosen |= options
    # Objects of the runtime are built once for all cases.
    os.environ.setdefault("TINYTRAIN_OBJECTS", str(FOLDER / "objects"))
    return compile_model(
        case.network(), output=output, calibration=files(case)["calibration"], **chosen
    )


@dataclass(frozen=True, eq=False)
class Scores:
    """What a model makes of some samples.

    Attributes:
        labels: int32 [N].
        predicted: the class of each, int32 [N].
        loss: of each, float32 [N].
    """

    labels: np.ndarray
    predicted: np.ndarray
    loss: np.ndarray

    @property
    def accuracy(self) -> float:
        """Share that is right."""
        return float(np.mean(self.predicted == self.labels))

    @cached_property
    def recall(self) -> dict[int, float]:
        """Of each class that there is a sample of, the share that is right."""
        right = self.predicted == self.labels
        return {int(k): float(right[self.labels == k].mean()) for k in np.unique(self.labels)}

    @property
    def balanced(self) -> float:
        """Mean recall of these classes."""
        return float(np.mean(list(self.recall.values())))


@dataclass(frozen=True, eq=False)
class Outcome:
    """A run: scores of the new world, and of the old one where there is one.

    Attributes:
        losses: of each step, float32 [steps].
        weights_sha256: of all trained parameters.
    """

    own_before: Scores
    own_after: Scores
    past_before: Scores | None
    past_after: Scores | None
    losses: np.ndarray
    weights_sha256: str

    @property
    def mean_after(self) -> float:
        """Mean of the balanced accuracies of the new world and of the old one."""
        own = self.own_after.balanced
        return own if self.past_after is None else (own + self.past_after.balanced) / 2


class Runner:
    """A compiled case of the task "classes", ready for many runs.

    Args:
        case: whose samples are learned.
        folder: that `compiled` wrote. Compile with `schedule="constant"` to compare schedules.
    """

    def __init__(self, case: Case, folder: Path) -> None:
        assert case.task == "classes", "a task without labels has no accuracy"
        manifest = read_manifest(folder)
        self.case, self.folder = case, folder
        self.guidance = manifest.guidance
        model = manifest.interface
        spec = manifest.sample_spec()
        self.library = HostLibrary(build_library(folder, model, FOLDER / "libraries"), model)
        data = {name: load_dataset(path, spec) for name, path in files(case).items()}
        self.learn, self.judge = (self._prepared(data[name]) for name in ("learn", "judge"))
        self.past = self._prepared(data["past"]) if "past" in data else None
        self._calibration = data["calibration"]
        self._before: tuple[Scores, Scores | None] | None = None

    def _prepared(self, data: Dataset) -> LibrarySamples:
        """Frozen features where there are any, and inputs beside."""
        assert self.library.model.wants is SampleTarget.LABEL
        every = slice(None)
        inputs = np.ascontiguousarray(data.quantized(every))
        return with_frozen(
            self.library, inputs, np.ascontiguousarray(data.targets(every), np.int32)
        )

    @cached_property
    def calibration(self) -> LibrarySamples:
        """The calibration samples, which are of the old world."""
        return self._prepared(self._calibration)

    def order(self, order: str = "shuffled", seed: int = 0, steps: int | None = None) -> np.ndarray:
        """The sample of each step, int64 [steps]: one of `ORDERS`, over and over."""
        steps, count = steps or self.case.steps, len(self.learn.targets)
        if order == "shuffled":
            return training_order(count, steps, seed)
        if order == "as-is":
            return np.resize(np.arange(count), steps)
        assert order == "by-class"
        shuffled = training_order(count, steps, seed)
        return shuffled[np.argsort(self.learn.targets[shuffled], kind="stable")]

    def scores(self, samples: LibrarySamples) -> Scores:
        """Of the model as it is."""
        losses, predicted = self.library.evaluate(samples)
        return Scores(samples.targets, predicted, losses)

    def run(
        self,
        rate: float | None = None,
        schedule: str | None = None,
        *,
        seed: int = 0,
        order: str = "shuffled",
        steps: int | None = None,
        replay_steps: int = 0,
        rehearsal_steps: int | None = None,
    ) -> Outcome:
        """Learn from the factory state.

        Args:
            rate: None takes the one that the model was compiled with.
            schedule: as `compile` takes it, for a model that was compiled with a constant; None
                keeps the model's own.
            seed: of the order. That of stochastic rounding is the compiled model's.
            order: one of `ORDERS`.
            steps: None takes the case's.
            replay_steps: on remembered samples after each, for a model with a replay buffer.
            rehearsal_steps: on the rehearsal set after these; None takes one where there is a set.
        """
        library = self.library
        library.init()
        if self._before is None:
            self._before = self.both()
        if rate is not None:
            library.set_learning_rate(rate)
        chosen = self.order(order, seed, steps)
        rates = None
        if schedule is not None:
            parsed, base = parse_schedule(schedule), library.learning_rate()
            rates = np.array([rate_at(parsed, base, t) for t in range(len(chosen))], np.float32)
        if rehearsal_steps is None:
            rehearsal_steps = 1 if library.model.rehearsal else 0
        losses, _ = library.train(
            self.learn, chosen, rates, replay_steps=replay_steps, rehearsal_steps=rehearsal_steps
        )
        own, past = self.both()
        return Outcome(
            self._before[0], own, self._before[1], past, losses, library.weights_sha256()
        )

    def both(self) -> tuple[Scores, Scores | None]:
        """Of the new world and of the old one, by the model as it is."""
        return self.scores(self.judge), None if self.past is None else self.scores(self.past)

    def both_enrolled(self) -> tuple[Scores, Scores | None]:
        """The same by the classes that are enrolled; a loss is the distance."""

        def scores(samples: LibrarySamples) -> Scores:
            found = self.library.enrolment.classify(samples)
            assert found is not None, "classes were enrolled"
            return Scores(samples.targets, found["label"], found["distance"].astype(np.float32))

        return scores(self.judge), None if self.past is None else scores(self.past)
