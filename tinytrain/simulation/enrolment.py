"""The session in which a compiled model enrols the samples that it was trained on before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tinytrain.data import Dataset, SampleSpec, load_dataset
from tinytrain.errors import UsageError
from tinytrain.manifest.enrolment import EnrolmentRecord
from tinytrain.simulation.engine import RawOutcome
from tinytrain.simulation.folder import GeneratedFolder
from tinytrain.simulation.forgetting import ClassAccuracies
from tinytrain.simulation.scores import (
    Confusion,
    OldTask,
    classes_are_unequal,
    label_scores,
    old_task,
    parted,
    steady_mean,
)
from tinytrain.simulation.scores import confusion as confusion_of
from tinytrain.simulation.stream import SampleStream


@dataclass(frozen=True)
class EnrolmentReport:
    """What a session showed of classes that are learned from a few samples.

    Attributes:
        method: "ncm" or "knn".
        samples: that were enrolled, each once.
        accuracy_before, accuracy_after: share of the evaluation samples that are classified right,
            by what the factory knew and by what is enrolled besides; 0 to 1.
        balanced_accuracy_before, balanced_accuracy_after: the mean of the classes' own.
        class_accuracy_before, class_accuracy_after: the same of each class that can be enrolled;
            None for one that the evaluation samples lack.
        unequal_classes: as in the result, of these samples.
        old: the same figures of the samples of the old task; None without any.
        confusion: what was taken for what, if asked for.
        instructions_per_enrolment, instructions_per_classification: mean number; counted on an
            emulator with icount only.
        ram_bytes: for what is enrolled.
        is_alone: whether nothing trains, so that these figures are those of the model.
    """

    method: str
    samples: int
    accuracy_before: float | None
    accuracy_after: float | None
    balanced_accuracy_before: float | None
    balanced_accuracy_after: float | None
    class_accuracy_before: ClassAccuracies | None
    class_accuracy_after: ClassAccuracies | None
    unequal_classes: bool | None
    old: OldTask | None
    confusion: Confusion | None
    instructions_per_enrolment: int | None
    instructions_per_classification: int | None
    ram_bytes: int
    is_alone: bool


Samples = str | Path | Dataset
"""A file, or samples that are loaded already."""


@dataclass(frozen=True, eq=False)
class SessionSamples:
    """Samples to learn from, to evaluate and of the old task."""

    train: Dataset
    evaluation: Dataset | None
    old: Dataset | None


def for_both(
    data: Samples, eval: Samples | None, old: Samples | None, folder: GeneratedFolder
) -> tuple[SessionSamples, SessionSamples]:
    """Samples of the head's classes, and all of them, to enrol."""
    every = SessionSamples(
        _wide(data, folder),
        None if eval is None else _wide(eval, folder),
        None if old is None else _wide(old, folder),
    )
    evaluated = (
        None if one is None else _known_to_head(one, folder)
        for one in (every.evaluation, every.old)
    )
    labelled = (None if one is None or one.y is None else one for one in evaluated)
    return SessionSamples(_known_to_head(every.train, folder), *labelled), every


def enrolled_spec(spec: SampleSpec, classes: int) -> SampleSpec:
    """Of samples of any of the classes that can be enrolled."""
    help = f"{classes} classes can be enrolled: compile with --enrol-classes N for more"
    return replace(spec, classes=classes, for_more_classes=help)


def _wide(data: Samples, folder: GeneratedFolder) -> Dataset:
    """Samples with labels of any class that can be enrolled."""
    record = folder.manifest.enrolment
    assert record is not None, "the model enrols classes"
    spec = enrolled_spec(folder.spec, record.classes)
    if isinstance(data, Dataset):
        return replace(data, spec=spec)
    return load_dataset(data, spec)


def _known_to_head(data: Dataset, folder: GeneratedFolder) -> Dataset:
    """The samples whose class the head has, with a note where others are left out; all of them
    without labels where it has none and nothing trains.

    Raises:
        UsageError: it has none.
    """
    assert data.y is not None
    inside = data.y < folder.spec.classes
    if inside.all():
        return replace(data, spec=folder.spec)
    if not inside.any():
        if not folder.manifest.trains:
            return replace(data, spec=folder.spec, y=None)
        raise UsageError(
            f"the head has none of the classes in {data.name}: they can be enrolled only",
            help="call enrol of tinytrain.load(DIR), or compile with --classes N",
        )
    note = (
        f"{np.count_nonzero(~inside):,} of {len(data):,} samples in {data.name} are of classes "
        "that the head does not have: they are enrolled, and the head's figures leave them out"
    )
    notes = (*data.notes, note)
    return replace(data, spec=folder.spec, x=data.x[inside], y=data.y[inside], notes=notes)


def report_of(
    record: EnrolmentRecord,
    stream: SampleStream,
    outcome: RawOutcome,
    *,
    confusion: bool,
    is_alone: bool,
) -> EnrolmentReport:
    """What an engine observed.

    Args:
        stream: that enrols.
        confusion: whether what was taken for what is asked for.
        is_alone: whether nothing trains.
    """
    data = stream.evaluation
    passes = outcome.before, outcome.after
    parts = [parted(found, stream.judged_count)[0].predictions for found in passes]
    before, after = (label_scores(part, data) for part in parts)
    matrix = confusion_of(parts[0], parts[1], data) if confusion and data is not None else None
    return EnrolmentReport(
        method=record.method,
        samples=stream.step_count,
        accuracy_before=before.accuracy,
        accuracy_after=after.accuracy,
        balanced_accuracy_before=before.balanced_accuracy,
        balanced_accuracy_after=after.balanced_accuracy,
        class_accuracy_before=before.class_accuracy,
        class_accuracy_after=after.class_accuracy,
        unequal_classes=classes_are_unequal(data),
        old=None if stream.old is None else old_task(stream, outcome, ()),
        confusion=matrix,
        instructions_per_enrolment=steady_mean(outcome.step_instructions),
        instructions_per_classification=steady_mean(outcome.infer_instructions),
        ram_bytes=record.ram,
        is_alone=is_alone,
    )
