"""Which samples a session takes, and in which order."""

from __future__ import annotations

import numpy as np

from tinytrain.data import Dataset, load_dataset
from tinytrain.errors import UsageError
from tinytrain.simulation.enrolment import Samples, SessionSamples, for_both
from tinytrain.simulation.folder import GeneratedFolder
from tinytrain.simulation.orders import by_class
from tinytrain.simulation.stream import SampleStream, training_order
from tinytrain.simulation.unlabelled import unlabelled_samples


def session_samples(
    data: Samples,
    eval: Samples | None,
    old: Samples | None,
    folder: GeneratedFolder,
    *,
    follow: bool,
    unlabelled: bool,
) -> tuple[SessionSamples, SessionSamples | None]:
    """The samples of the session; and those for enrolment, if the model enrols."""
    if folder.manifest.enrolment is not None and not unlabelled:
        return for_both(data, eval, old, folder)
    found = SessionSamples(
        unlabelled_samples(data, folder)
        if unlabelled
        else loaded(data, folder, need_targets=not follow),
        None if eval is None else loaded(eval, folder),
        None if old is None else loaded(old, folder),
    )
    return found, None


def enrolling(samples: SessionSamples, order: str, steps: int, seed: int) -> SampleStream:
    """Each sample at most once, and as many as there are steps."""
    train = samples.train
    return SampleStream(
        train=train,
        order=ordered(order, train, min(steps, len(train)), seed),
        evaluation=samples.evaluation,
        old=samples.old,
        drifts=order == "drift",
        enrols=True,
    )


def ordered(order: str, train: Dataset, steps: int, seed: int) -> np.ndarray:
    """The index of the sample of each step, int64 [steps]; `order` as `simulate` has it."""
    if not steps:
        return np.zeros(0, np.int64)
    if order == "as-is":
        return np.arange(steps, dtype=np.int64) % len(train)
    shuffled = training_order(len(train), steps, seed)
    if order != "by-class":
        return shuffled
    if train.y is None and train.spec.classes:
        raise UsageError(
            f"{train.name} has no labels, and --order by-class sorts by them",
            help="use --order shuffled, as-is or drift",
        )
    if not train.spec.classes:
        raise UsageError(
            f"the target of a sample is {train.spec.wants.words}, and samples cannot be sorted "
            "by class",
            help="use --order shuffled, as-is or drift",
        )
    return by_class(shuffled, train.targets(slice(None)), train.spec.classes, seed)


def loaded(data: Samples, folder: GeneratedFolder, *, need_targets: bool = True) -> Dataset:
    """Samples that fit the model of a folder."""
    if isinstance(data, Dataset):
        return data
    return load_dataset(data, folder.spec, need_targets=need_targets)
