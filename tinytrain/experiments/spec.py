"""What an experiment varies: models, data, schemes, rules, rates and seeds, and the runs of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinytrain.scheme.scheme import NOTHING

COSINE = "cosine"
"""A schedule that needs no number of steps: it comes to 0 at the end of the run."""


@dataclass(frozen=True)
class ModelSpec:
    """A model and how uint8 images become its inputs.

    Attributes:
        name: in tables and plots.
        path: of the model file.
        head: "fresh" for a new classifier of the data's classes, "keep" for the model's own.
        mean, std: of the preprocessing of uint8 images, which are resized to the model's input;
            without either what the input's quantization says, else v / 255.
    """

    name: str
    path: Path
    head: str = "fresh"
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


@dataclass(frozen=True)
class DataSpec:
    """Samples to learn from and to be tested by: one place for both, or two files.

    Attributes:
        path: an .npz with x_train, y_train, x_test, y_test, or a folder or .zip of class folders.
        train, test: .npz files of x and y, instead.
        rehearse: .npz of x and y, samples of before for rules with a rehearsal set, and for the
            prototypes of rules that enrol.
        eval_old: an .npz of x and y of what the model knew before, evaluated beside the test
            samples.
        of_each_class: samples of each class that are learned from, at most; None takes all.
    """

    name: str
    path: Path | None = None
    train: Path | None = None
    test: Path | None = None
    rehearse: Path | None = None
    eval_old: Path | None = None
    of_each_class: int | None = None

    def files(self) -> tuple[Path, ...]:
        """All that are read."""
        named = self.path, self.train, self.test, self.rehearse, self.eval_old
        return tuple(file for file in named if file is not None)


@dataclass(frozen=True)
class SchemeSpec:
    """An update scheme: a preset or a file, for all models or another for each.

    Attributes:
        chosen: by the model's name, or under "" for all models.
    """

    name: str
    chosen: Mapping[str, str]

    def of(self, model: str) -> str | None:
        """The preset, or the path of the file; None if the scheme is not for that model."""
        return self.chosen.get(model, self.chosen.get(""))


@dataclass(frozen=True)
class RuleSpec:
    """How weights are updated: an engine and options of the compiler.

    Attributes:
        options: fields of `options.Options`; `schedule` may be `COSINE`.
        replay_steps: on remembered samples after each new one, where there is a replay buffer.
        rehearsal_steps: on samples of the rehearsal set after each new one, where there is one.
        rates: learning rates to try; empty takes the experiment's.
    """

    name: str
    engine: str = "c"
    options: Mapping[str, Any] = field(default_factory=dict)
    replay_steps: int = 0
    rehearsal_steps: int = 0
    rates: tuple[float, ...] = ()

    @property
    def enrols(self) -> bool:
        """Whether samples are enrolled in place of steps on them: no layer trains, and there is no
        learning rate.
        """
        return "enrol" in self.options


@dataclass(frozen=True)
class Run:
    """One training, or enrolment, from the factory state to its end.

    Attributes:
        scheme: preset, or path of a scheme file.
        scheme_name: as the experiment calls it.
        steps: of training, or of as many epochs as `epochs`, where that is not 0.
        order: of the samples, one of `fields.ORDERS`.
        evaluations: spread evenly over the run, the last one at its end; one more before it.
        train_limit, test_limit: samples taken of the data, evenly spread; None takes all.
    """

    model: ModelSpec
    data: DataSpec
    scheme_name: str
    scheme: str
    rule: RuleSpec
    rate: float
    seed: int
    steps: int
    epochs: int
    order: str
    evaluations: int
    train_limit: int | None
    test_limit: int | None

    @property
    def group(self) -> str:
        """What it has in common with the runs of other rates and seeds."""
        return "/".join((self.model.name, self.data.name, self.scheme_name, self.rule.name))

    @property
    def title(self) -> str:
        """Its name in progress and errors; `--only` looks into it."""
        rate = "" if self.rule.enrols else f"/rate {self.rate:g}"
        return f"{self.group}{rate}/seed {self.seed}"

    def steps_for(self, samples: int) -> int:
        """Training steps with that many samples to learn from; or of these those that are enrolled,
        each once.
        """
        steps = self.epochs * samples if self.epochs else self.steps
        return min(steps, samples) if self.rule.enrols else steps


@dataclass(frozen=True)
class Experiment:
    """A checked file.

    Attributes:
        file: the file itself.
        target: whose RAM and instructions are told.
        instructions: whether they are counted on the emulator.
    """

    file: Path
    name: str
    models: tuple[ModelSpec, ...]
    data: tuple[DataSpec, ...]
    schemes: tuple[SchemeSpec, ...]
    rules: tuple[RuleSpec, ...]
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    steps: int
    epochs: int
    order: str
    evaluations: int
    train_limit: int | None
    test_limit: int | None
    target: str
    instructions: bool

    def groups(self) -> Iterator[tuple[Run, ...]]:
        """Runs of one model, data, scheme and rule: every rate with every seed, seeds outermost."""
        for model, data in itertools.product(self.models, self.data):
            for name, scheme, rule in self._learners(model):
                rates = (0.0,) if rule.enrols else rule.rates or self.rates
                yield tuple(
                    Run(
                        model=model,
                        data=data,
                        scheme_name=name,
                        scheme=scheme,
                        rule=rule,
                        rate=rate,
                        seed=seed,
                        steps=self.steps,
                        epochs=self.epochs,
                        order=self.order,
                        evaluations=self.evaluations,
                        train_limit=self.train_limit,
                        test_limit=self.test_limit,
                    )
                    for seed in self.seeds
                    for rate in rates
                )

    def _learners(self, model: ModelSpec) -> Iterator[tuple[str, str, RuleSpec]]:
        """Name of a scheme, the scheme and a rule, in the file's order; those that enrol last."""
        for scheme, rule in itertools.product(self.schemes, self.rules):
            chosen = scheme.of(model.name)
            if chosen is not None and not rule.enrols:
                yield scheme.name, chosen, rule
        yield from ((NOTHING, NOTHING, rule) for rule in self.rules if rule.enrols)


def with_schedule(options: Mapping[str, Any], steps: int) -> dict[str, Any]:
    """Options in which a cosine without a number ends with the last of so many steps."""
    found = dict(options)
    if found.get("schedule") == COSINE:
        updates = steps // found.get("accumulate", 1) - found.get("warm_up", 0)
        found["schedule"] = f"{COSINE}:{max(1, updates)}"
    return found
