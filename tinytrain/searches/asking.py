"""What a search is asked: a model in integers, its samples, and what schemes may take."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tinytrain.compiler.images import image_preprocess
from tinytrain.compiler.integers import IntegerModel, integer_model
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import IMPORT
from tinytrain.compiler.samples import forward_spec
from tinytrain.data import Dataset, Preprocess
from tinytrain.emit.c_text import model_name
from tinytrain.emit.model_hash import model_hash
from tinytrain.errors import Where
from tinytrain.experiments.identity import PACKAGES, code_digest, installed
from tinytrain.ir.graph import Graph
from tinytrain.option import FILE, FOLDER, Option
from tinytrain.passes.base import Runner
from tinytrain.passes.select_trainable import weighted_layers
from tinytrain.searches.split import (
    SearchSamples,
    check_classes,
    check_unseen,
    labelled_samples,
    search_samples,
)
from tinytrain.searches.store import digest_of_arrays, key_of
from tinytrain.target import Target


@dataclass(frozen=True, eq=False)
class Subject:
    """What is searched.

    Attributes:
        given: the model in integers.
        preprocess: of uint8 images.
        options: of every candidate, but for its scheme.
        target: whose planner and linker decide what fits.
        target_name: that finds it again.
        samples: to learn from, to judge by, and to report on.
        names: of the model, the data and the samples to report on, with their SHA-256.
        layers: with weights, in execution order; the last is the head.
        notes: sentences on what is not as it should be.
    """

    given: IntegerModel
    preprocess: Preprocess | None
    options: Options
    target: Target
    target_name: str
    samples: SearchSamples
    names: Mapping[str, tuple[str, str]]
    layers: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def forward(self) -> Graph:
        """The s8 model before anything in it trains."""
        return self.given.forward

    @property
    def name(self) -> str:
        """A C identifier."""
        return model_name(self.forward.name)

    @property
    def key(self) -> str:
        """Of all that decides what a training gives, but for the training itself.

        Samples to report on are not in it: only the trainings that they judge know of them.
        """
        calibration = self.given.calibration
        return key_of(
            code_digest(),
            {name: installed(name) for name in PACKAGES},
            model_hash(self.forward).hex(),
            None if calibration is None else calibration.sha256,
            repr(self.options),
            repr(self.target),
            repr(self.preprocess),
            self.names["data"][1],
        )


@dataclass(frozen=True, eq=False)
class Sources:
    """Model and samples as a user gives them; fields as the arguments of `search`."""

    model: Any
    example: Any
    model_output: str | None
    data: Any
    eval: Any
    calibration: Any
    mean: Any
    std: Any


def subject_of(sources: Sources, options: Options, target: Target, target_name: str) -> Subject:
    """Reads the model and the samples.

    Raises:
        TinytrainError: they cannot be read, or do not fit each other.
    """
    from tinytrain.frontend import import_model

    if hasattr(sources.data, "__next__"):
        # An iterator gives its samples once, and they calibrate, too.
        sources = replace(sources, data=list(sources.data))
    if isinstance(sources.data, tuple) and len(sources.data) == 2 and sources.data[1] is None:
        sources = replace(sources, data=sources.data[0])
    runner = Runner()
    imported = import_model(
        sources.model, example=sources.example, model_output=sources.model_output
    )
    runner.check(imported.graph, IMPORT.name)
    imported, preprocess = image_preprocess(imported, sources.mean, sources.std)
    calibration = sources.data if sources.calibration is None else sources.calibration
    given = integer_model(imported, calibration, preprocess, options, runner)
    spec = forward_spec(given.forward, options, preprocess)
    data = labelled_samples(sources.data, spec, "data")
    check_classes(data, Where(_named(sources.data, "data")))
    eval = None if sources.eval is None else labelled_samples(sources.eval, spec, "eval")
    note = None if eval is None else check_unseen(data, eval)
    samples = search_samples(data, eval)
    check_classes(samples.data, Where(_named(sources.data, "data")))
    names = {"model": (_named(sources.model, given.forward.name), _model_digest(sources, given))}
    names["data"] = (_named(sources.data, "data"), _digest(data))
    if eval is not None:
        names["eval"] = (_named(sources.eval, "eval"), _digest(eval))
    layers = tuple(weighted_layers(given.forward))
    return Subject(
        given,
        preprocess,
        options,
        target,
        target_name,
        samples,
        names,
        layers,
        () if note is None else (note,),
    )


def command_of(rows: tuple[Option, ...], given: Mapping[str, Any], command: str = "search") -> str:
    """The command that asks the same, without what changes no outcome.

    Files without a flag come first: behind an option that takes several words they would be its.
    """
    words = ["tinytrain", command]
    for row in sorted(rows, key=lambda row: not row.positional):
        value = given.get(row.name)
        if row.name in ("store", "workers") or value is None:
            continue
        # Samples that Python hands over have no default, and cannot be compared.
        if row.default is not None and value == row.default:
            continue
        flag = [] if row.positional else [row.short or row.flag]
        if isinstance(value, bool):
            words += flag
        elif row.several and isinstance(value, tuple | list):
            words += [*flag, *(_shown(row, one) for one in value)]
        else:
            words += [*flag, _shown(row, value)]
    return shlex.join(words)


def _shown(row: Option, value: Any) -> str:
    """As one would write it; what only Python can hand over by its name."""
    if isinstance(value, str | Path):
        return str(value)
    if row.kind in (FILE, FOLDER):
        return getattr(value, "name", row.name.upper())
    return row.kind.show(value)


def _named(source: Any, otherwise: str) -> str:
    return Path(source).name if isinstance(source, str | Path) else otherwise


def _digest(data: Dataset) -> str:
    return digest_of_arrays((data.x, data.targets(slice(None))))


def _model_digest(sources: Sources, given: IntegerModel) -> str:
    if isinstance(sources.model, str | Path):
        return hashlib.sha256(Path(sources.model).read_bytes()).hexdigest()
    return model_hash(given.forward).hex()
