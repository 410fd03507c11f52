"""The compiled training step of a run, or what enrols in its place, and its data."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tinytrain.compiler.chosen_scheme import chosen_scheme
from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.enrolment import make_enrolment
from tinytrain.compiler.guidance import LARGEST_RATE
from tinytrain.compiler.images import image_preprocess
from tinytrain.compiler.integers import CALIBRATION_SAMPLES, IntegerModel, integer_model
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.compiler.rehearsal import with_rehearsal
from tinytrain.compiler.samples import map_shape, sample_spec
from tinytrain.data import Preprocess, SampleSpec, load_dataset
from tinytrain.errors import ModelError, UsageError, Where
from tinytrain.experiments.data import Data, calibration_samples, old_samples, open_data
from tinytrain.experiments.spec import Run, with_schedule
from tinytrain.experiments.splits import evenly
from tinytrain.frontend.imported import Imported
from tinytrain.ir.graph import Graph
from tinytrain.passes.base import Runner
from tinytrain.simulation.enrolment import enrolled_spec
from tinytrain.target import load_target


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a run learns with, and from.

    Attributes:
        spec: of the samples.
        steps: of training; or samples that are enrolled.
    """

    compiled: Compiled
    preprocess: Preprocess | None
    data: Data
    spec: SampleSpec
    steps: int


@contextmanager
def prepared(run: Run, target: str) -> Iterator[Prepared]:
    """The compiled step of a run, and its data, which is read as long as it is open.

    Args:
        target: whose kernels' layout is compiled.

    Raises:
        TinytrainError: model, data or scheme do not fit.
    """
    runner = Runner()
    with open_data(run.data) as whole:
        data = whole.limited(run.train_limit, run.test_limit)
        old = old_samples(run.data)
        if old is not None:
            data = data.with_old(old, run.test_limit)
        imported = _imported(run.model.path)
        samples, labels = calibration_samples(data, _size(imported.graph), CALIBRATION_SAMPLES)
        # Labels may be few where samples to calibrate with are not.
        data = data.with_few(run.data.of_each_class)
        steps = run.steps_for(len(data.train.labels))
        options = _options(run, steps, data.classes)
        preprocess = None
        if samples.dtype == np.uint8:
            imported, derived = image_preprocess(imported, run.model.mean, run.model.std)
            preprocess = derived or Preprocess(_size(imported.graph))
        given = integer_model(imported, (samples, labels), preprocess, options, runner)
        scheme = chosen_scheme(given, options, preprocess)
        isa = load_target(target).isa
        quantized = given.quantized_samples()
        compiled = build_step(given.forward, options, runner, quantized, isa, scheme)
        spec = sample_spec(compiled, preprocess)
        if options.rehearsal_slots:
            flash = load_target(target).flash
            compiled = with_rehearsal(compiled, run.data.rehearse, None, spec, flash)
        if run.rule.enrols:
            compiled, spec = _enrolling(run, compiled, given, spec)
        if not compiled.classes:
            raise UsageError(
                "an experiment's data has a class for each sample, and the model takes "
                f"{compiled.wants.words}",
                help='put a fresh classifier in the place of its last layer: head = "fresh"',
            )
        yield Prepared(compiled, preprocess, data, spec, steps)


def _options(run: Run, steps: int, classes: int) -> Options:
    """Of `compile`, for data of so many classes."""
    given = with_schedule(run.rule.options, steps)
    if run.rule.enrols:
        # No head is made for new classes: they are enrolled.
        given["enrol_classes"] = given.get("enrol_classes") or (
            None if run.model.head == "keep" else classes
        )
    else:
        given["classes"] = None if run.model.head == "keep" else classes
    return Options(scheme=run.scheme, seed=run.seed, rate_limit=LARGEST_RATE, **given)


def _enrolling(
    run: Run, compiled: Compiled, given: IntegerModel, spec: SampleSpec
) -> tuple[Compiled, SampleSpec]:
    """With prototypes of the samples of before, where the data names some; and the samples that can
    be enrolled.

    The labels of the samples to learn from make no prototypes: these are what is enrolled.
    """
    old = run.data.rehearse
    if old is None:
        enrolment = make_enrolment(compiled, given.quantized_samples())
    else:
        # How many can be enrolled does not depend on samples.
        wide = enrolled_spec(spec, make_enrolment(compiled).classes)
        known = load_dataset(old, wide)
        index = evenly(len(known), CALIBRATION_SAMPLES)
        enrolment = make_enrolment(compiled, known.quantized(index), known.targets(index))
    return replace(compiled, enrolment=enrolment), enrolled_spec(spec, enrolment.classes)


@functools.lru_cache(maxsize=4)
def _imported(path: Path) -> Imported:
    from tinytrain.frontend import import_model

    imported = import_model(path)
    Runner().check(imported.graph, "import")
    return imported


def _size(source: Graph) -> tuple[int, int]:
    """Height and width of a model's input."""
    if len(source.inputs) > 1:
        raise ModelError(
            f"the model has {len(source.inputs)} inputs; an experiment takes models with one",
            where=Where(source.source.file),
            help="use simulate, or tinytrain.load in Python",
        )
    return map_shape(source.inputs[0].type.shape)[1:3]
