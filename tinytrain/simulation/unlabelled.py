"""Sessions that learn from samples without labels: what they are given, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tinytrain.data import Dataset, load_dataset
from tinytrain.data.npz import read_arrays
from tinytrain.errors import UsageError, Where
from tinytrain.reference.pseudo import LEFT
from tinytrain.simulation.engine import RawOutcome
from tinytrain.simulation.folder import GeneratedFolder
from tinytrain.simulation.scores import steady_mean
from tinytrain.simulation.stream import SampleStream

NOBODY_LOOKS = (
    "a pseudo-label may be wrong, and the guard has no labelled samples by which it could tell "
    "that learning goes wrong"
)


@dataclass(frozen=True)
class UnlabelledReport:
    """What became of samples without labels.

    Attributes:
        samples: that the model was given.
        taken: of these, samples that were trained on as what the model took them for.
        right: share of the taken ones whose pseudo-label is the label that the file has for them,
            0 to 1; None where it has none, or none was taken.
        instructions: of a sample, the mean; counted on an emulator with icount only.
    """

    samples: int
    taken: int
    right: float | None
    instructions: int | None

    def sentence(self) -> str:
        """What a person is told."""
        told = f"{self.taken:,} of {self.samples:,} samples were sure enough, and were trained on"
        if self.right is not None:
            told += f"; {self.right:.1%} of their pseudo-labels are right"
        if self.instructions is not None:
            told += f"; {self.instructions:,} instructions a sample"
        return told


def check_unlabelled(
    folder: GeneratedFolder, replay_steps: int | None, *, fills: bool, has_kept: bool
) -> None:
    """Whether a session can learn from samples without labels.

    Raises:
        UsageError: the model cannot, nothing would stop it, or another option needs labels.
    """
    manifest = folder.manifest
    if manifest.pseudo_labels is None:
        raise UsageError(
            f"the model in '{folder.path}' learns from no sample without a label",
            help="compile with --pseudo-labels, or leave out --unlabelled",
        )
    if replay_steps or fills:
        flag = "--fill" if fills else "--replay-steps"
        raise UsageError(
            f"samples without labels are not remembered, and {flag} is about those that are",
            help=f"leave out {flag}, or --unlabelled",
        )
    if manifest.guard is not None and manifest.rehearsal is None and not has_kept:
        raise UsageError(NOBODY_LOOKS, help="add --kept FILE.npz, 50 labelled samples or more")


def unlabelled_samples(data: str | Path | Dataset, folder: GeneratedFolder) -> Dataset:
    """Samples, with the labels that a file may have for them: nothing learns by these.

    Raises:
        DataError: they do not fit the model.
    """
    if isinstance(data, Dataset):
        return data
    spec, enrolment = folder.spec, folder.manifest.enrolment
    if "y" not in read_arrays(data, Where(str(data)), ("y",)):
        return load_dataset(data, spec, need_targets=False)
    wide = spec if enrolment is None else replace(spec, classes=enrolment.classes)
    return replace(load_dataset(data, wide), spec=spec)


def unlabelled_report(stream: SampleStream, outcome: RawOutcome) -> UnlabelledReport | None:
    """What an engine observed; None where samples have labels."""
    if not stream.unlabelled:
        return None
    found = np.array(outcome.pseudo_labels, np.int32)
    taken = found != LEFT
    right = None
    if stream.train.y is not None and taken.any():
        right = float(np.mean((stream.train.y[stream.order[: found.size]] == found)[taken]))
    instructions = steady_mean(outcome.unlabelled_instructions)
    return UnlabelledReport(found.size, int(taken.sum()), right, instructions)
