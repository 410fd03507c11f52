"""An experiment's TOML file, checked before anything runs."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinytrain.compiler.options import OF_TRAINING, OPTIONS, Options
from tinytrain.data.preprocess import preprocess_images
from tinytrain.errors import TinytrainError, UsageError, Where
from tinytrain.experiments import fields
from tinytrain.experiments.spec import (
    DataSpec,
    Experiment,
    ModelSpec,
    RuleSpec,
    SchemeSpec,
    with_schedule,
)
from tinytrain.experiments.table import Table, read_tables
from tinytrain.scheme.scheme import NOTHING
from tinytrain.target import load_target
from tinytrain.toml_reader import read_toml
from tinytrain.tools import how_to_get

_TAKEN = (
    "seeds",
    "order",
    "evaluations",
    "train_limit",
    "test_limit",
    "instructions",
)
"""Fields of the file that are fields of `Experiment`."""


def load_experiment(path: str | Path) -> Experiment:
    """Read and check an experiment's file. Paths in it are relative to it.

    Raises:
        UsageError: what is wrong, with the field; or a file that it names does not exist.
    """
    file = Path(path)
    where = Where(str(path))
    content = read_toml(
        file,
        where=where,
        unreadable="the experiment's file cannot be read",
        malformed="the experiment's file is no TOML",
    )
    top = Table(content, where, "", fields.TOP)
    schedule = top.take("schedule")
    models = tuple(_model(one, file.parent) for one in read_tables(top, "models", fields.MODEL))
    rules = tuple(_rule(one, schedule) for one in read_tables(top, "rules", fields.RULE))
    needs_schemes = "schemes" in top or not all(rule.enrols for rule in rules)
    experiment = Experiment(
        file=file,
        name=top.take("name") or file.stem,
        models=models,
        data=tuple(_data(one, file.parent) for one in read_tables(top, "data", fields.DATA)),
        schemes=_schemes(top, file.parent, models) if needs_schemes else (),
        rules=rules,
        rates=_rates(top),
        steps=top.take("steps") or 0,
        epochs=top.take("epochs") or 0,
        target=_target(top, file.parent),
        **{key: top.take(key) for key in _TAKEN},
    )
    top.end()
    if (experiment.steps == 0) == (experiment.epochs == 0):
        top.fail("steps", "the experiment needs either `steps` or `epochs`")
    for rule in experiment.rules:
        if not (rule.rates or experiment.rates or rule.enrols):
            top.fail("rates", f"rule '{rule.name}' has no learning rate", "add rates = [0.003]")
    bare = [data.name for data in experiment.data if data.rehearse is None]
    for rule in experiment.rules:
        if rule.rehearsal_steps and bare:
            what = f"data '{bare[0]}' has no samples for the rehearsal set of rule '{rule.name}'"
            top.fail(f"data.{bare[0]}", what, "add rehearse, an .npz of x and y")
    used = {runs[0].model.name for runs in experiment.groups()}
    for model in models:
        if model.name not in used:
            top.fail(f"models.{model.name}", "no scheme is for this model")
    return experiment


def _model(table: Table, folder: Path) -> ModelSpec:
    spec = ModelSpec(
        name=table.name,
        path=table.file("path", folder),
        head=table.take("head"),
        mean=table.take("mean"),
        std=table.take("std"),
    )
    table.end()
    try:
        preprocess_images(spec.mean, spec.std, (1, 1))
    except UsageError as error:
        table.fail("", error.what, error.help)
    return spec


def _data(table: Table, folder: Path) -> DataSpec:
    has = {key for key in ("path", "train", "test", "rehearse") if key in table}
    if has - {"rehearse"} not in ({"path"}, {"train", "test"}):
        table.fail(
            "",
            "data needs either `path` or both `train` and `test`",
            "path: an .npz with x_train, y_train, x_test, y_test, or a folder or .zip of class "
            "folders; train and test: .npz files of x and y",
        )
    has |= {"eval_old"} if "eval_old" in table else set()
    files = {key: table.file(key, folder) for key in sorted(has)}
    spec = DataSpec(table.name, **files, of_each_class=table.take("of_each_class"))
    table.end()
    return spec


def _schemes(top: Table, folder: Path, models: tuple[ModelSpec, ...]) -> tuple[SchemeSpec, ...]:
    found = []
    names = {model.name for model in models}
    table = top.table("schemes", fields.SCHEMES)
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
    if text == NOTHING:
        what = f"the scheme {NOTHING} trains nothing"
        table.fail("", what, "leave it out: a rule with `enrol` takes it by itself")
    path = folder / text
    if not path.is_file():
        table.fail(
            "",
            f"scheme '{text}' is neither a preset nor a file",
            "presets are head, bias, last-K and full; paths are relative to the experiment's file",
        )
    return str(path)


def _rule(table: Table, schedule: str) -> RuleSpec:
    engine = table.take("engine")
    rates = _rates(table)
    if engine != "c" and importlib.util.find_spec("torch") is None:
        table.fail(
            "engine",
            f"engine '{engine}' needs PyTorch, which is not installed",
            f"{how_to_get('torch')}, or leave this rule out",
        )
    asked, rehearsed = table.take("replay_steps"), table.take("rehearsal_steps")
    rest = table.rest()
    if asked and not rest.get("replay"):
        table.fail("replay_steps", "the rule has no replay buffer", "add replay = 100")
    replay_steps = asked or int(bool(rest.get("replay")))
    if rehearsed and not rest.get("rehearsal_slots"):
        table.fail("rehearsal_steps", "the rule has no rehearsal set", "add rehearsal_slots = 64")
    rehearsal_steps = rehearsed or int(bool(rest.get("rehearsal_slots")))
    _check_options(table, engine, rest)
    enrols = bool(rest.get("enrol"))
    if enrols and rates:
        what = "a rule with `enrol` trains nothing, and has no learning rate"
        table.fail("rates", what, "leave it out")
    for key in rest if enrols else ():
        if OPTIONS[key].group in OF_TRAINING:
            what = f"a rule with `enrol` trains nothing, and `{key}` is for what trains"
            table.fail(key, what, "leave it out")
    options = rest if enrols else {"schedule": schedule, **rest}
    checked = with_schedule(options, 1)
    if enrols:
        checked["scheme"] = NOTHING
    try:
        Options(**checked)
    except TinytrainError as error:
        table.fail("", error.what, error.help)
    return RuleSpec(table.name, engine, options, replay_steps, rehearsal_steps, rates)


def _check_options(table: Table, engine: str, options: Mapping[str, Any]) -> None:
    """Refuses what is no option, none of this engine, or out of its range."""
    known = [
        name
        for name, row in OPTIONS.items()
        if row.in_pytorch or (engine == "c" and not row.experiment)
    ]
    for key, value in options.items():
        row = OPTIONS.get(key)
        if row and row.experiment:
            table.fail(key, f"a rule does not set `{key}`", f"it comes from {row.experiment}")
        if row is None or key not in known:
            table.fail(
                key,
                f"a rule of engine '{engine}' has no field `{key}`",
                "it may have engine, rates, " + ", ".join(known),
            )
        try:
            row.check(value, f"`{key}`")
        except UsageError as error:
            table.fail(key, error.what, error.help)


def _rates(table: Table) -> tuple[float, ...]:
    rates: tuple[float, ...] = table.take("rates")
    if len(set(rates)) != len(rates):
        table.fail("rates", "a rate is listed twice")
    return rates


def _target(top: Table, folder: Path) -> str:
    name: str = top.take("target")
    if name.endswith(".toml"):
        name = str(folder / name)
    try:
        load_target(name)
    except TinytrainError as error:
        top.fail("target", error.what, error.help)
    return name
