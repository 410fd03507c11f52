"""What variants of the learning rate race on: samples to learn from, and samples that judge."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.integers import IntegerModel
from tinytrain.data import Dataset, SampleSpec
from tinytrain.errors import DataError, UsageError, Where
from tinytrain.reference.warm_up import evenly_spread
from tinytrain.simulation.library import HostLibrary, LibrarySamples
from tinytrain.simulation.orders import drifted
from tinytrain.simulation.stream import TARGET_DTYPES

LEAST, MOST = 64, 1024
"""Samples that a race needs, and those that it takes of more, evenly spread."""

JUDGES = 4
"""One of so many parts of each class judges, the others are learned from."""

KNOWN = 0.75
"""Accuracy from which on the model is taken to know the world of the samples already; the share of
it, or of the inverse loss, that a world that was made of them leaves at most."""

NOISE = range(0, 128, 8)
"""Largest step of the noise in a world that is made, tried in turn."""

_WHERE = Where("the calibration samples")


@dataclass(frozen=True, eq=False)
class Heat:
    """Samples of one run; nothing of `judge` or `old` is in `learn`.

    Attributes:
        learn: of the world that is new to the model.
        judge: of the same world.
        judges: which samples of that world these are, ascending.
        old: of the world that the model ships with; None where there is none.
        old_judges: which samples of that world these are.
    """

    learn: LibrarySamples
    judge: LibrarySamples
    judges: np.ndarray
    old: LibrarySamples | None = None
    old_judges: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(frozen=True, eq=False)
class RaceSamples:
    """Samples of a race.

    Attributes:
        heats: of the first seed, the second and so on, each with other judges.
        changed: whether the new world was made of the old one by `orders.drifted`.
    """

    heats: tuple[Heat, ...]
    changed: bool


def race_samples(
    compiled: Compiled, given: IntegerModel, spec: SampleSpec, library: HostLibrary, heats: int
) -> RaceSamples:
    """The samples of a race, from the labelled calibration samples.

    A fresh head learns them as they are. For a head that stays they are most often of the world
    that it knows, and there is nothing to learn in them: then the race is for a world that is made
    of them, see `changed`, and they themselves are the old one.

    Args:
        heats: how many have judges of their own, fewer than `JUDGES`.

    Raises:
        UsageError: there are no calibration samples.
        DataError: they have no labels, are too few, or are not of the old task that counts.
    """
    data = _labelled(given, spec)
    if len(data) < LEAST:
        raise DataError(
            f"a race of learning rates needs {LEAST} labelled samples or more, got {len(data)}",
            where=_WHERE,
            help="give more, or leave out --learning-rate race",
        )
    chosen = evenly_spread(len(data), min(len(data), MOST))
    inputs = np.ascontiguousarray(data.quantized(chosen))
    targets = np.ascontiguousarray(data.targets(chosen), TARGET_DTYPES[spec.wants])
    labels = targets if compiled.classes else np.zeros(len(targets), np.int32)
    parts = [split_by_class(labels, heat) for heat in range(heats)]
    old = with_frozen(library, inputs, targets)
    judges = np.sort(np.concatenate([judge for _, judge in parts]))
    known = knowledge(library, _part(old, judges))
    as_they_are = compiled.guidance.aim.fresh_classes > 0 or (
        compiled.classes > 0 and known < KNOWN
    )
    if as_they_are:
        before = _before(compiled, library, known)
        every = np.arange(0 if before is None else len(before.targets))
        return RaceSamples(tuple(_heat(old, *part, before, every) for part in parts), changed=False)
    for noise in NOISE:
        new = with_frozen(library, changed(inputs, spec, noise), targets)
        if knowledge(library, _part(new, judges)) <= KNOWN * known:
            break
    found = (_heat(new, *part, _part(old, part[1]), part[1]) for part in parts)
    return RaceSamples(tuple(found), changed=True)


def _heat(
    world: LibrarySamples,
    learn: np.ndarray,
    judge: np.ndarray,
    old: LibrarySamples | None,
    old_judges: np.ndarray,
) -> Heat:
    return Heat(_part(world, learn), _part(world, judge), judge, old, old_judges)


def _part(samples: LibrarySamples, index: np.ndarray) -> LibrarySamples:
    """Some of the samples, by their indices."""
    inputs, frozen = (
        None if one is None else one[index] for one in (samples.inputs, samples.frozen)
    )
    return LibrarySamples(samples.targets[index], inputs, frozen)


def _before(compiled: Compiled, library: HostLibrary, known: float) -> LibrarySamples | None:
    """Samples of the old world, where the calibration samples are of the new one."""
    held = compiled.rehearsal
    if held is not None:
        return with_frozen(library, held.inputs, held.targets)
    if compiled.options.keep == "new":
        return None
    raise DataError(
        "a race with --keep old needs samples of the old task, and the model is right on only "
        f"{known:.1%} of the calibration samples",
        where=_WHERE,
        help="calibrate with samples of the world that the model ships with, or give these as "
        "--rehearse F.npz",
    )


def knowledge(library: HostLibrary, samples: LibrarySamples) -> float:
    """What a model knows of samples: its accuracy, or the inverse of its mean loss."""
    if library.model.classes:
        _, predicted = library.evaluate(samples)
        return float(np.mean(predicted == samples.targets))
    losses, _ = library.score(samples)
    return 1.0 / max(float(np.mean(losses, dtype=np.float64)), 1e-30)


def changed(inputs: np.ndarray, spec: SampleSpec, noise: int) -> np.ndarray:
    """Samples as another sensor gives them: as at the end of `simulate --order drift`, and noisy.

    Args:
        inputs: int8 [n, H, W, C].
        noise: its largest step, 0 to 127; all steps up to there are as likely.
    """
    drift = _drifted(inputs, spec).astype(np.int16)
    steps = np.random.RandomState(0).randint(-noise, noise + 1, drift.shape)
    noisy: np.ndarray = np.clip(drift + steps, -128, 127).astype(np.int8)
    return noisy


def _drifted(inputs: np.ndarray, spec: SampleSpec) -> np.ndarray:
    """All of a drift; each input of several by itself."""
    end = np.ones(len(inputs))
    if not spec.parts:
        return drifted(inputs, end, spec.zero_point)
    flat, start = inputs.reshape(len(inputs), -1), 0
    found = []
    for part in spec.parts:
        size = math.prod(part.shape)
        one = flat[:, start : start + size].reshape(-1, *part.shape[1:])
        found.append(drifted(one, end, part.zero_point).reshape(len(flat), -1))
        start += size
    return np.ascontiguousarray(np.concatenate(found, axis=1).reshape(inputs.shape))


def with_frozen(library: HostLibrary, inputs: np.ndarray, targets: np.ndarray) -> LibrarySamples:
    """Samples for a library, the outputs of frozen layers computed once."""
    size = library.model.frozen_bytes
    if not size:
        return LibrarySamples(targets, inputs)
    frozen = np.empty((len(inputs), size), np.uint8)
    library.frozen(inputs, frozen)
    return LibrarySamples(targets, inputs, frozen)


def _labelled(given: IntegerModel, spec: SampleSpec) -> Dataset:
    if given.gathered is None:
        raise UsageError(
            "a race of learning rates needs labelled samples, and there are no calibration samples",
            help="add --calibration F.npz with x and y, or leave out --learning-rate race",
        )
    return given.labelled(
        spec,
        "a race of learning rates cannot learn from the calibration samples",
        "give --calibration F.npz with x and y, or leave out --learning-rate race",
    )


def split_by_class(labels: np.ndarray, heat: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices to learn from and to judge by, ascending: of each class a part of its own judges.

    What was recorded together mostly stands together, and so stays on one side.

    Args:
        heat: the last part of each class judges in the first, 0, the last but one in the next.
    """
    learn, judge = [], []
    for label in np.unique(labels):
        index = np.flatnonzero(labels == label)
        of_part = len(index) // JUDGES
        end = len(index) - heat * of_part
        learn += [index[: end - of_part], index[end:]]
        judge.append(index[end - of_part : end])
    return np.sort(np.concatenate(learn)), np.sort(np.concatenate(judge))
