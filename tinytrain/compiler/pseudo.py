"""What the compiler prepares so that a device can learn from samples without labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.enrolment import Coded, check_features, coded
from tinytrain.compiler.integers import IntegerModel
from tinytrain.compiler.options import Options
from tinytrain.errors import UsageError
from tinytrain.reference.enrol import EnrolMethod
from tinytrain.reference.pseudo import UNIT, PseudoLabels, least_ratio

WRONG = 0.01
"""Share of the labelled samples that are taken whose pseudo-label may be wrong."""

LARGEST = UNIT // 2
"""Of a ratio. The device sees another world than that of the labelled samples, which tell their
classes apart better than it will: however few of them are wrong, no larger one is taken."""

FLAG = "--pseudo-labels"


def check_pseudo_labels(options: Options, *, has_old_samples: bool) -> None:
    """Whether something would stop a model that learns wrong pseudo-labels.

    Args:
        has_old_samples: whether labelled samples of before are given.

    Raises:
        UsageError: nothing would, or nobody knows the classes of the head.
    """
    if not options.pseudo_labels:
        return
    slots = options.rehearsal_slots
    is_rehearsed = slots != 0 and (has_old_samples or slots is not None)
    if not options.guard and not is_rehearsed:
        raise UsageError(
            "a pseudo-label may be wrong, and nothing here stops a model that learns wrong ones",
            help="add --guard 128, which undoes what makes it worse, or --rehearsal-slots 64, "
            "which keeps what it knew",
        )
    if options.classes is not None:
        raise UsageError(
            f"--classes {options.classes} makes a head of new classes, and {FLAG} takes the known "
            "ones from calibration samples of the old",
            help=f"leave out {FLAG} or --classes",
        )


def with_pseudo_labels(compiled: Compiled, given: IntegerModel) -> Compiled:
    """The step with what it needs to give samples pseudo-labels, where its options ask for that.

    Args:
        given: with the labelled calibration samples.

    Raises:
        UsageError: what the head reads changes while the model trains, or no labelled samples say
            how sure is sure enough.
    """
    if not compiled.options.pseudo_labels:
        return compiled
    samples = given.quantized_samples()
    return replace(compiled, pseudo=make_pseudo_labels(compiled, samples, given.labels))


def make_pseudo_labels(
    compiled: Compiled, samples: np.ndarray | None = None, labels: np.ndarray | None = None
) -> PseudoLabels:
    """When a model takes a sample without a label for one of a class.

    Both thresholds are quantiles over the labelled samples: of the distance to their own class, and
    of its ratio to the distance to the nearest other one, at which of those taken no more than
    `WRONG` are wrong (selective classification, Geifman and El-Yaniv, NeurIPS 2017).

    Args:
        samples: s8 [N, ...] calibration samples, if there are any.
        labels: int [N], if they have some.

    Raises:
        UsageError: as `with_pseudo_labels`.
    """
    check_features(compiled, FLAG, "add --scheme head")
    beside = compiled.enrolment
    of = (EnrolMethod(), compiled.classes) if beside is None else (beside.method, beside.classes)
    found = coded(compiled, *of, samples, labels)
    known = found.enrolment
    if known.near is None or len(known.labels) < 2:
        raise UsageError(
            f"{FLAG} compares a sample with known classes, and the calibration samples have labels "
            f"of {len(known.labels) or 'none'}",
            help="give calibration samples with y, of all classes",
        )
    distance, other, is_right = _distances(found)
    is_near = distance <= known.near
    ratio = _ratio(least_ratio(distance, other)[is_near], is_right[is_near])
    taken = is_near & (least_ratio(distance, other) <= ratio)
    if not taken.any():
        raise UsageError(
            f"what the head reads does not tell the calibration samples apart: at no threshold are "
            f"{1 - WRONG:.0%} of the pseudo-labels right",
            help=f"leave out {FLAG}, and train with labels",
        )
    return PseudoLabels(
        known,
        known.near,
        ratio,
        len(taken),
        float(taken.mean()),
        float(is_right[taken].mean()),
    )


def _distances(found: Coded) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each sample to the nearest prototype and to the next one, and whether the nearest is that
    of its class; of equal distances the first, as the device has it."""
    prototypes = found.enrolment.prototypes.astype(np.int64)
    each = np.stack([((found.codes - one) ** 2).sum(1) for one in prototypes], axis=1)
    order = np.argsort(each, axis=1, kind="stable")[:, :2]
    nearest, other = np.take_along_axis(each, order, axis=1).T
    return nearest, other, found.enrolment.labels[order[:, 0]] == found.labels


def _ratio(least: np.ndarray, is_right: np.ndarray) -> int:
    """The largest ratio up to `LARGEST` at which few enough are wrong; 0 if there is none."""
    order = np.argsort(least, kind="stable")
    wrong = np.cumsum(~is_right[order])
    # Samples of one ratio are taken or left together.
    is_last = np.append(np.diff(least[order]) > 0, True) if least.size else np.zeros(0, bool)
    good = is_last & (wrong <= WRONG * np.arange(1, least.size + 1))
    if wrong.size and good[-1]:
        return LARGEST
    return min(LARGEST, int(least[order][good].max())) if good.any() else 0
