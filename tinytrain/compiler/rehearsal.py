"""Chooses the samples that a model carries in its flash to train on again."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.integers import IntegerModel
from tinytrain.compiler.options import Options
from tinytrain.compiler.two_worlds import two_worlds
from tinytrain.data import Dataset, SampleSpec
from tinytrain.data.given import batches
from tinytrain.emit.frozen import frozen_part
from tinytrain.errors import DataError, UsageError, Where
from tinytrain.ir.operations import loss_index
from tinytrain.reference.rehearsal import MAX_SLOTS, RehearsalSet
from tinytrain.scheme.scheme import NOTHING

SLOTS = 64
"""Samples where the user names no number: as many as a few hundred steps visit several times."""

SHARE = 4
"""Of the flash that they take then at most: one part in so many."""


_NOT_WITH = {
    "follow": "keeps what the frozen layers give for a sample, and --follow changes it",
    "inference": "gives samples to train on, and --inference leaves training out",
}
"""By options, why samples of before do not go with them."""


def check_rehearse(options: Options) -> None:
    """Refuses samples of before where the options leave nothing to do with them.

    `Options` itself refuses what does not go with `rehearsal_slots`, which need not be given here.

    Raises:
        UsageError: no step could train on them.
    """
    if options.rehearsal_slots == 0:
        raise UsageError(
            "--rehearse gives samples for a rehearsal set, and --rehearsal-slots 0 leaves it empty",
            help="leave out one of both",
        )
    if options.scheme == NOTHING:
        raise UsageError(
            "the scheme none trains nothing, and a rehearsal set is to train on",
            help="leave --rehearse out, or train --scheme head",
        )
    for name, why in _NOT_WITH.items():
        if getattr(options, name):
            raise UsageError(f"--rehearse {why}", help="leave out one of both")


def with_rehearsal(
    compiled: Compiled, source: Any, given: IntegerModel | None, spec: SampleSpec, flash: int
) -> Compiled:
    """A training step with the rehearsal set that its options ask for.

    Args:
        source: labelled samples: path of an .npz, a pair (x, y), or a DataLoader or another
            iterable of such pairs; None takes the calibration samples.
        given: the model before anything in it trained, with its calibration samples.
        spec: of the compiled model's samples.
        flash: the budget, in bytes.

    Raises:
        UsageError: there are no labelled samples, or fewer slots than classes.
        DataError: the samples do not fit the model.
    """
    slots = compiled.options.rehearsal_slots
    if slots == 0 or (slots is None and source is None):
        return compiled
    if source is None:
        parts = [_calibration(compiled, given, spec)]
    else:
        parts = list(batches(source, None, spec))
    if not parts:
        raise DataError("there are no samples", where=Where("rehearse"))
    targets = np.concatenate([part.targets(slice(None)) for part in parts])
    classes = np.unique(targets) if spec.classes else np.zeros(1, np.int32)
    if slots is None:
        fit = max(len(classes), flash // SHARE // max(slot_bytes(compiled), 1))
        slots = min(max(SLOTS, len(classes)), fit, MAX_SLOTS)
    if slots < len(classes):
        raise UsageError(
            f"{slots} rehearsal slots cannot hold a sample of each of the {len(classes)} classes",
            help=f"give --rehearsal-slots {len(classes)} or more, or samples of fewer classes",
        )
    index = balanced(targets, slots)
    held = RehearsalSet(_quantized(parts, index), np.ascontiguousarray(targets[index]))
    warnings = _warnings(compiled, held, is_given=source is not None)
    if source is not None:
        warnings = (*warnings, *two_worlds(compiled, held, given))
    held = dataclasses.replace(held, warnings=warnings)
    return dataclasses.replace(compiled, rehearsal=held, guidance=compiled.guidance.rehearsed)


def fewer(compiled: Compiled, excess: int) -> Compiled | None:
    """The same with so many bytes fewer of flash in its rehearsal set; None where the user named
    the number, or too few would be left."""
    held = compiled.rehearsal
    if held is None or compiled.options.rehearsal_slots is not None:
        return None
    fit = slots_that_fit(compiled, excess)
    if fit < max(len(held.labels), 1):
        return None
    return dataclasses.replace(compiled, rehearsal=smaller(held, fit))


def slots_that_fit(compiled: Compiled, excess: int) -> int:
    """How many would remain with so many bytes fewer; negative where more has to go."""
    assert compiled.rehearsal is not None, "there is a rehearsal set"
    # What follows the set is aligned, to 32 bytes at most.
    return len(compiled.rehearsal) - -(-(excess + 32) // slot_bytes(compiled))


def slot_bytes(compiled: Compiled) -> int:
    """Of a sample in flash, with its target unless that is a label."""
    graph = compiled.plan.graph
    part = frozen_part(graph, compiled.plan, graph.nodes[: loss_index(graph)])
    target = graph.target
    assert target is not None, "a training graph has a target"
    return part.nbytes + (0 if compiled.classes else target.type.nbytes)


def smaller(held: RehearsalSet, slots: int) -> RehearsalSet:
    """The samples of a set that are chosen where there are fewer slots."""
    index = balanced(held.targets, slots)
    encoded = {left: samples[index] for left, samples in held.encoded.items()}
    return dataclasses.replace(
        held, inputs=held.inputs[index], targets=held.targets[index], encoded=encoded
    )


def balanced(targets: np.ndarray, slots: int) -> np.ndarray:
    """Which samples fill so many slots: of each class as many, evenly spread over its samples.

    A class with fewer samples gives all that it has, and the others share what it leaves.

    Args:
        targets: labels [N], or other targets [N, size], which count as one class.
        slots: at least one for each class.

    Returns:
        Indices, those of a class together, classes ascending; all samples where they fit.
    """
    labels = targets if targets.ndim == 1 else np.zeros(len(targets), np.int32)
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    shares = _shares([len(group) for group in groups], slots)
    spread = (
        group[np.linspace(0, len(group) - 1, share).round().astype(int)]
        for group, share in zip(groups, shares, strict=True)
    )
    return np.concatenate(list(spread))


def _shares(counts: Sequence[int], slots: int) -> list[int]:
    """How many of each, the rarest first served with all it has; in the order of `counts`."""
    shares, left = [0] * len(counts), slots
    for done, k in enumerate(sorted(range(len(counts)), key=lambda k: counts[k])):
        shares[k] = min(counts[k], left // (len(counts) - done))
        left -= shares[k]
    return shares


def _calibration(compiled: Compiled, given: IntegerModel | None, spec: SampleSpec) -> Dataset:
    """The calibration samples with their labels."""
    instead = "give --rehearse F.npz with x and y"
    if given is None or given.gathered is None:
        raise UsageError("there are no samples to fill the rehearsal slots with", help=instead)
    if compiled.options.classes is not None:
        raise UsageError(
            "the rehearsal slots cannot be filled with calibration samples: their labels are those "
            f"of the classifier that --classes {compiled.options.classes} replaces",
            help=f"{instead}, where y has the labels of the new classifier",
        )
    what = "the rehearsal slots cannot be filled with calibration samples"
    return given.labelled(spec, what, instead)


def _quantized(parts: Sequence[Dataset], index: np.ndarray) -> np.ndarray:
    """Chosen samples of several data sets that follow each other, int8 [n, ...] in order."""
    starts = np.cumsum([0, *(len(part) for part in parts)])
    of = np.searchsorted(starts, index, side="right") - 1
    chosen = [parts[k].quantized(index[n : n + 1] - starts[k]) for n, k in enumerate(of)]
    return np.concatenate(chosen)


def _warnings(compiled: Compiled, held: RehearsalSet, *, is_given: bool) -> tuple[str, ...]:
    found = []
    missing = sorted(set(range(compiled.classes)) - set(held.labels))
    if missing:
        named = ", ".join(map(str, missing[:20])) + (", ..." if len(missing) > 20 else "")
        which = "class" if len(missing) == 1 else "classes"
        found.append(
            f"the rehearsal set has no sample of {which} {named}: nothing in it keeps the model "
            "from forgetting what it knows of them"
        )
    if compiled.options.classes is not None and is_given:
        found.append(
            "the classifier is fresh: y of the rehearsal samples has to hold the labels of its "
            f"{compiled.classes} classes, not of those that the old one told apart"
        )
    return tuple(found)
