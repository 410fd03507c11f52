"""An experiment's TOML file: what is varied, checked before anything runs."""

from __future__ import annotations

import dataclasses
import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinytrain.data import Preprocess
from tinytrain.errors import TinytrainError, UsageError, Where
from tinytrain.experiment.table import Table, read_tables
from tinytrain.pipeline import Options
from tinytrain.simulate.session import MAX_LEARNING_RATE, MAX_STEPS
from tinytrain.target import load_target

ENGINES = ("c", "float-masters", "float")
"""What a rule may run on: the C that ships, or what it is compared with, in PyTorch."""

SCHEDULES = ("constant", "cosine")
HEADS = ("fresh", "keep")

_GIVEN = {
    "scheme": "[schemes]",
    "classes": "`head` of a model",
    "rate": "`rates`",
    "seed": "`seeds`",
    "name": "the name of a model",
    "loss": "nothing: experiments are of classifiers",
}
"""Fields of `Options` that a rule leaves to other parts of the file."""


@dataclass(frozen=True)
class ModelSpec:
    """A model and how uint8 images become its inputs.

    Attributes:
        name: in tables and plots.
        path: of the model file.
        head: "fresh" for a new classifier of the data's classes, "keep" for the model's own.
        mean, std: of the preprocessing of uint8 images, which are resized to the model's input.
        resize: height and width; None takes the model's.
    """

    name: str
    path: Path
    head: str = "fresh"
    resize: tuple[int, int] | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def preprocess(self, height: int, width: int) -> Preprocess:
        """For a model whose input has this size."""
        return Preprocess(self.resize or (height, width), self.mean, self.std)


@dataclass(frozen=True)
class DataSpec:
    """Samples to learn from and to be tested by: one place for both, or two files.

    Attributes:
        path: an .npz with x_train, y_train, x_test, y_test, or a folder or .zip of class folders.
        train, test: .npz files of x and y, instead.
    """

    name: str
    path: Path | None = None
    train: Path | None = None
    test: Path | None = None

    def files(self) -> tuple[Path, ...]:
        """All that are read."""
        return tuple(file for file in (self.path, self.train, self.test) if file is not None)


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
    """How weights are updated: an engine, options of the compiler, settings of the engine.

    Attributes:
        options: fields of `pipeline.Options`.
        settings: arguments of a PyTorch engine beyond those of every learner.
        rates: learning rates to try; empty takes the experiment's.
    """

    name: str
    engine: str = "c"
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    rates: tuple[float, ...] = ()


@dataclass(frozen=True)
class Run:
    """One training from the factory state to its end.

    Attributes:
        scheme: preset, or path of a scheme file.
        scheme_name: as the experiment calls it.
        steps: of training, or of as many epochs as `epochs`, where that is not 0.
        evaluations: spread evenly over the run, the last one at its end; one more before it.
        schedule: of the rate, as in `SCHEDULES`.
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
    evaluations: int
    schedule: str
    train_limit: int | None
    test_limit: int | None

    @property
    def group(self) -> str:
        """What it has in common with the runs of other rates and seeds."""
        return "/".join((self.model.name, self.data.name, self.scheme_name, self.rule.name))

    @property
    def title(self) -> str:
        """Its name in progress and errors; `--only` looks into it."""
        return f"{self.group}/rate {self.rate:g}/seed {self.seed}"

    def steps_for(self, samples: int) -> int:
        """Training steps with that many samples to learn from."""
        return self.epochs * samples if self.epochs else self.steps


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
    evaluations: int
    schedule: str
    train_limit: int | None
    test_limit: int | None
    target: str
    instructions: bool

    def groups(self) -> Iterator[tuple[Run, ...]]:
        """Runs of one model, data, scheme and rule: every rate with every seed, seeds outermost."""
        for model, data, scheme, rule in itertools.product(
            self.models, self.data, self.schemes, self.rules
        ):
            chosen = scheme.of(model.name)
            if chosen is None:
                continue
            yield tuple(
                Run(
                    model=model,
                    data=data,
                    scheme_name=scheme.name,
                    scheme=chosen,
                    rule=rule,
                    rate=rate,
                    seed=seed,
                    steps=self.steps,
                    epochs=self.epochs,
                    evaluations=self.evaluations,
                    schedule=self.schedule,
                    train_limit=self.train_limit,
                    test_limit=self.test_limit,
                )
                for seed in self.seeds
                for rate in (rule.rates or self.rates)
            )


def load_experiment(path: str | Path) -> Experiment:
    """Read and check an experiment's file. Paths in it are relative to it.

    Raises:
        UsageError: what is wrong, with the field; or a file that it names does not exist.
    """
    file = Path(path)
    where = Where(str(path))
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"the experiment's file cannot be read: {error.strerror}", where=where
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the experiment's file is no TOML: {error}", where=where) from error
    top = Table(content, where, "")
    models = tuple(_model(table, file.parent) for table in read_tables(top, "models"))
    experiment = Experiment(
        file=file,
        name=top.text("name", file.stem),
        models=models,
        data=tuple(_data(table, file.parent) for table in read_tables(top, "data")),
        schemes=_schemes(top, file.parent, models),
        rules=tuple(_rule(table) for table in read_tables(top, "rules")),
        rates=_rates(top),
        seeds=top.numbers("seeds", int, 0, 2**32 - 1, (0,)),
        steps=top.number("steps", int, 1, MAX_STEPS, 0),
        epochs=top.number("epochs", int, 1, MAX_STEPS, 0),
        evaluations=top.number("evaluations", int, 1, 100_000, 10),
        schedule=top.choice("schedule", SCHEDULES, "constant"),
        train_limit=top.number("train_limit", int, 1, 2**31 - 1, 0) or None,
        test_limit=top.number("test_limit", int, 1, 2**31 - 1, 0) or None,
        target=_target(top, file.parent),
        instructions=top.flag("instructions", False),
    )
    top.end()
    if (experiment.steps == 0) == (experiment.epochs == 0):
        top.fail("steps", "the experiment needs either `steps` or `epochs`")
    for rule in experiment.rules:
        if not (rule.rates or experiment.rates):
            top.fail("rates", f"rule '{rule.name}' has no learning rate", "add rates = [0.003]")
    used = {model.name for model in models if any(s.of(model.name) for s in experiment.schemes)}
    for model in models:
        if model.name not in used:
            top.fail(f"models.{model.name}", "no scheme is for this model")
    return experiment


def _model(table: Table, folder: Path) -> ModelSpec:
    resize = table.numbers("resize", int, 1, 65536, ())
    if resize and len(resize) != 2:
        table.fail("resize", "a size is a height and a width")
    spec = ModelSpec(
        name=table.name,
        path=table.file("path", folder),
        head=table.choice("head", HEADS, "fresh"),
        resize=(resize[0], resize[1]) if resize else None,
        mean=table.numbers("mean", float, -1e6, 1e6, (0.0,)),
        std=table.numbers("std", float, 0.0, 1e6, (1.0,)),
    )
    table.end()
    try:
        Preprocess(spec.resize, spec.mean, spec.std)
    except UsageError as error:
        table.fail("", error.what, error.way_out)
    return spec


def _data(table: Table, folder: Path) -> DataSpec:
    has = {key for key in ("path", "train", "test") if key in table}
    if has not in ({"path"}, {"train", "test"}):
        table.fail(
            "",
            "data needs either `path` or both `train` and `test`",
            "path: an .npz with x_train, y_train, x_test, y_test, or a folder or .zip of class "
            "folders; train and test: .npz files of x and y",
        )
    spec = DataSpec(table.name, **{key: table.file(key, folder) for key in sorted(has)})
    table.end()
    return spec


def _schemes(top: Table, folder: Path, models: tuple[ModelSpec, ...]) -> tuple[SchemeSpec, ...]:
    found = []
    names = {model.name for model in models}
    table = top.table("schemes")
    for name, given in table.items():
        chosen = given if isinstance(given, dict) else {"": given}
        for model, scheme in chosen.items():
            if not isinstance(scheme, str):
                table.fail(name, "a scheme is a preset or a path, or one of them for each model")
            if model and model not in names:
                table.fail(name, f"there is no model '{model}'")
        found.append(
            SchemeSpec(name, {model: _scheme(s, table, folder) for model, s in chosen.items()})
        )
    return tuple(found)


def _scheme(text: str, table: Table, folder: Path) -> str:
    if re.fullmatch(r"head|bias|full|last-\d+", text):
        return text
    path = folder / text
    if not path.is_file():
        table.fail(
            "",
            f"scheme '{text}' is neither a preset nor a file",
            "presets are head, bias, last-K and full; paths are relative to the experiment's file",
        )
    return str(path)


def _rule(table: Table) -> RuleSpec:
    engine = table.choice("engine", ENGINES, "c")
    rates = _rates(table)
    rest = table.rest()
    settings = {}
    if engine != "c":
        settings = {key: rest.pop(key) for key in sorted(_settings(table) & rest.keys())}
    known = [f.name for f in dataclasses.fields(Options) if f.name not in _GIVEN]
    for key in rest:
        if key in _GIVEN:
            table.fail(key, f"a rule does not set `{key}`", f"it comes from {_GIVEN[key]}")
        if key not in known:
            table.fail(
                key,
                f"a rule has no field `{key}`",
                "a rule has engine, rates, and the compiler's options " + ", ".join(known),
            )
    try:
        Options(**rest)
    except TinytrainError as error:
        table.fail("", error.what, error.way_out)
    except TypeError:
        table.fail("", "an option has a value of the wrong kind")
    return RuleSpec(table.name, engine, rest, settings, rates)


def _settings(table: Table) -> frozenset[str]:
    """Arguments of the PyTorch engines beyond those of every learner."""
    from tinytrain.experiment.engines import float_settings

    try:
        return float_settings()
    except TinytrainError as error:
        table.fail("engine", error.what, error.way_out)


def _rates(table: Table) -> tuple[float, ...]:
    rates = table.numbers("rates", float, 0.0, float(MAX_LEARNING_RATE), ())
    if len(set(rates)) != len(rates):
        table.fail("rates", "a rate is listed twice")
    return rates


def _target(top: Table, folder: Path) -> str:
    name = top.text("target", "mps2-an500")
    if name.endswith(".toml"):
        name = str(folder / name)
    try:
        load_target(name)
    except TinytrainError as error:
        top.fail("target", error.what, error.way_out)
    return name
