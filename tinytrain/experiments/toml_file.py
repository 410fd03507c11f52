"""An experiment's TOML file, checked before anything runs."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

from tinytrain.compiler.options import Options
from tinytrain.data import Preprocess
from tinytrain.errors import TinytrainError, UsageError, Where
from tinytrain.experiments.spec import (
    ENGINES,
    HEADS,
    ORDERS,
    DataSpec,
    Experiment,
    ModelSpec,
    RuleSpec,
    SchemeSpec,
    with_schedule,
)
from tinytrain.experiments.table import Table, read_tables
from tinytrain.simulation.session import MAX_LEARNING_RATE, MAX_REPLAY_STEPS, MAX_STEPS
from tinytrain.target import load_target

_GIVEN = {
    "scheme": "[schemes]",
    "classes": "`head` of a model",
    "learning_rate": "`rates`",
    "seed": "`seeds`",
    "name": "the name of a model",
    "loss": "nothing: experiments are of classifiers",
}
"""Fields of `Options` that a rule leaves to other parts of the file."""

_FLOAT = (
    "momentum accumulate weight_decay schedule warm_up label_smoothing qas ranges weight_headroom "
    "range_headroom"
).split()
"""Those that an engine in PyTorch follows as well."""


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
    schedule = top.text("schedule", "constant")
    models = tuple(_model(table, file.parent) for table in read_tables(top, "models"))
    experiment = Experiment(
        file=file,
        name=top.text("name", file.stem),
        models=models,
        data=tuple(_data(table, file.parent) for table in read_tables(top, "data")),
        schemes=_schemes(top, file.parent, models),
        rules=tuple(_rule(table, schedule) for table in read_tables(top, "rules")),
        rates=_rates(top),
        seeds=top.numbers("seeds", int, 0, 2**32 - 1, (0,)),
        steps=top.number("steps", int, 1, MAX_STEPS, 0),
        epochs=top.number("epochs", int, 1, MAX_STEPS, 0),
        order=top.choice("order", ORDERS, "shuffled"),
        evaluations=top.number("evaluations", int, 1, 100_000, 10),
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
        table.fail("", error.what, error.help)
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


def _rule(table: Table, schedule: str) -> RuleSpec:
    engine = table.choice("engine", ENGINES, "c")
    rates = _rates(table)
    if engine != "c" and importlib.util.find_spec("torch") is None:
        table.fail(
            "engine",
            f"engine '{engine}' needs PyTorch, which is not installed",
            "pip install 'tinytrain[torch]', or leave this rule out",
        )
    asked = table.number("replay_steps", int, 1, MAX_REPLAY_STEPS, 0)
    rest = table.rest()
    if asked and not rest.get("replay"):
        table.fail("replay_steps", "the rule has no replay buffer", "add replay = 100")
    replay_steps = asked or int(bool(rest.get("replay")))
    _check_options(table, engine, rest)
    options = {"schedule": schedule, **rest}
    try:
        Options(**with_schedule(options, 1))
    except TinytrainError as error:
        table.fail("", error.what, error.help)
    return RuleSpec(table.name, engine, options, replay_steps, rates)


def _check_options(table: Table, engine: str, options: Mapping[str, Any]) -> None:
    """Refuses what is no option, none of this engine, or of another kind."""
    hints = get_type_hints(Options)
    known = [name for name in hints if name not in _GIVEN]
    if engine != "c":
        known = _FLOAT
    for key, value in options.items():
        if key in _GIVEN:
            table.fail(key, f"a rule does not set `{key}`", f"it comes from {_GIVEN[key]}")
        if key not in known:
            table.fail(
                key,
                f"a rule of engine '{engine}' has no field `{key}`",
                "it may have engine, rates, " + ", ".join(known),
            )
        kinds = get_args(hints[key]) or (hints[key],)
        allowed = (*kinds, int) if float in kinds else kinds
        if isinstance(value, bool) != (bool in kinds) or not isinstance(value, allowed):
            names = " or ".join(kind.__name__ for kind in kinds if kind is not type(None))
            table.fail(key, f"`{key}` is {value!r}, which is no {names}")


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
        top.fail("target", error.what, error.help)
    return name
