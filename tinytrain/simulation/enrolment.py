"""The session in which a compiled model enrols the samples that it was trained on before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tinytrain.data import Dataset, load_dataset
from tinytrain.errors import UsageError
from tinytrain.manifest.enrolment import EnrolmentRecord
from tinytrain.simulation.engine import RawOutcome
from tinytrain.simulation.folder import GeneratedFolder
from tinytrain.simulation.forgetting import ClassAccuracies
from tinytrain.simulation.scores import label_scores
from tinytrain.simulation.stream import SampleStream


@dataclass(frozen=True)
class EnrolmentReport:
    """What a session showed of classes that are learned from a few samples.

    Attributes:
        method: "ncm" or "knn".
        samples: that were enrolled, each once.
        accuracy_before, accuracy_after: share of the evaluation samples that are classified right,
            by what the factory knew and by what is enrolled besides; 0 to 1.
        class_accuracy_before, class_accuracy_after: the same of each class that can be enrolled;
            None for one that the evaluation samples lack.
        instructions_per_enrolment, instructions_per_classification: mean number; counted on an
            emulator with icount only.
        ram_bytes: for what is enrolled.
    """

    method: str
    samples: int
    accuracy_before: float | None
    accuracy_after: float | None
    class_accuracy_before: ClassAccuracies | None
    class_accuracy_after: ClassAccuracies | None
    instructions_per_enrolment: int | None
    instructions_per_classification: int | None
    ram_bytes: int


def for_both(
    data: str | Path | Dataset, eval: str | Path | Dataset | None, folder: GeneratedFolder
) -> tuple[Dataset, Dataset | None, tuple[Dataset, Dataset | None]]:
    """Samples to learn from and to evaluate, of the head's classes; and all of both, to enrol."""
    train, evaluation = _wide(data, folder), None if eval is None else _wide(eval, folder)
    known = None if evaluation is None else _known_to_head(evaluation, folder)
    return _known_to_head(train, folder), known, (train, evaluation)


def _wide(data: str | Path | Dataset, folder: GeneratedFolder) -> Dataset:
    """Samples with labels of any class that can be enrolled."""
    record = folder.manifest.enrolment
    assert record is not None
    spec = replace(folder.spec, classes=record.classes)
    if isinstance(data, Dataset):
        return replace(data, spec=spec)
    return load_dataset(data, spec)


def _known_to_head(data: Dataset, folder: GeneratedFolder) -> Dataset:
    """The samples whose class the head has, with a note where others are left out.

    Raises:
        UsageError: there is none.
    """
    assert data.y is not None
    inside = data.y < folder.spec.classes
    if inside.all():
        return replace(data, spec=folder.spec)
    if not inside.any():
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
    mean: Callable[[Sequence[int]], int | None],
) -> EnrolmentReport:
    """What an engine observed.

    Args:
        stream: that enrols.
        mean: of counted instructions.
    """
    before, after = (
        label_scores(found.predictions, stream.evaluation)
        for found in (outcome.before, outcome.after)
    )
    return EnrolmentReport(
        method=record.method,
        samples=stream.step_count,
        accuracy_before=before.accuracy,
        accuracy_after=after.accuracy,
        class_accuracy_before=before.class_accuracy,
        class_accuracy_after=after.class_accuracy,
        instructions_per_enrolment=mean(outcome.step_instructions),
        instructions_per_classification=mean(outcome.infer_instructions),
        ram_bytes=record.ram,
    )
