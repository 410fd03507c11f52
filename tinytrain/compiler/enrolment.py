"""What the compiler prepares so that a device can enrol classes: codes, prototypes, a threshold."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.integers import IntegerModel
from tinytrain.compiler.principal import principal_directions
from tinytrain.errors import UsageError
from tinytrain.ir.operations import frozen_count, head_input, loss_index
from tinytrain.reference.enrol import MAX_CODES, CodeMap, Enrolment, EnrolMethod, parse_method
from tinytrain.reference.features import Features
from tinytrain.reference.fixed_point import requantizers

CODES = 64
"""Elements of a code at most, where there are samples to find it from."""

ENOUGH = 64
"""Calibration samples from which on a code is found; with fewer what the head reads is the code."""

NEW_CLASSES = 8
"""Labels beyond those of the model, where nothing else was asked for."""

NEAR = 0.95
"""Share of the labelled samples that lie near the prototype of their own class."""

HEAD_BESIDE = "add --scheme head, which trains the head beside it"

_SHRINKAGE = 0.1
_ROOM = 1.25
"""Times as far as the calibration samples reach before a code saturates."""


@dataclass(frozen=True, eq=False)
class Coded:
    """What is made of calibration samples, and the samples by it.

    Attributes:
        enrolment: codes, prototypes and a threshold.
        codes: int8 [N, code_size], of those samples whose label is known.
        labels: int [N].
    """

    enrolment: Enrolment
    codes: np.ndarray
    labels: np.ndarray


def with_enrolment(compiled: Compiled, given: IntegerModel) -> Compiled:
    """The step with what it needs to enrol classes, where its options ask for that.

    Args:
        given: with the calibration samples, from which codes and prototypes are made.

    Raises:
        UsageError: what the head reads changes while the model trains, or samples have no class.
    """
    if compiled.options.enrol is None:
        return compiled
    enrolment = make_enrolment(compiled, given.quantized_samples(), given.labels)
    return replace(compiled, enrolment=enrolment)


def make_enrolment(
    compiled: Compiled, samples: np.ndarray | None = None, labels: np.ndarray | None = None
) -> Enrolment:
    """What a model whose options ask for enrolment needs for it.

    Args:
        samples: s8 [N, ...] calibration samples, if there are any.
        labels: int [N], if they have some.

    Raises:
        UsageError: as `with_enrolment`.
    """
    options = compiled.options
    check_features(compiled, "--enrol", f"{HEAD_BESIDE}, or --scheme none")
    method = parse_method(str(options.enrol))
    classes = options.enrol_classes or compiled.classes + NEW_CLASSES
    return coded(compiled, method, classes, samples, labels).enrolment


def coded(
    compiled: Compiled,
    method: EnrolMethod,
    classes: int,
    samples: np.ndarray | None,
    labels: np.ndarray | None,
) -> Coded:
    """What calibration samples say of classes, by the features of a model.

    Args:
        method: how classes are told apart.
        classes: labels that are known or can be enrolled are below it.
        samples, labels: as for `make_enrolment`.
    """
    size = head_input(compiled.graph).type.size
    if samples is None:
        nothing = np.zeros((0, size), np.int8), np.zeros(0, np.uint16)
        return Coded(Enrolment(method, classes, size, None, *nothing, None), *nothing)
    features = Features(compiled.graph).of(samples)
    found = _code_map(features) if len(features) >= ENOUGH else None
    codes = features if found is None else found.codes(features)
    # The classes of a fresh head are not those of the samples that the model comes with.
    known = labels is not None and compiled.options.classes is None
    inside = labels < classes if labels is not None and known else np.zeros(len(codes), bool)
    its = labels[inside] if labels is not None else np.zeros(0, np.int64)
    of = _prototypes(codes[inside], its)
    return Coded(Enrolment(method, classes, size, found, *of), codes[inside], its)


def check_features(compiled: Compiled, flag: str, way_out: str) -> None:
    """Whether a model has classes, and features that stay as they are.

    Args:
        flag: of the option that needs both.
        way_out: where layers before the head train.

    Raises:
        UsageError: it has not.
    """
    graph, x = compiled.graph, head_input(compiled.graph)
    if not compiled.classes:
        raise UsageError(
            f"{flag} tells classes apart, and a sample of the loss {compiled.options.loss} has "
            "none",
            help=f"leave out {flag}",
        )
    forward = graph.nodes[: loss_index(graph)]
    made = {value for node in forward[: frozen_count(graph, forward)] for value in node.outputs}
    if x not in made and x not in graph.inputs:
        raise UsageError(
            f"the scheme '{compiled.options.scheme}' trains layers before the head, and would "
            f"change what {flag} has kept of a class",
            help=way_out,
        )
    if x.type.size > MAX_CODES:
        raise UsageError(
            f"the head reads {x.type.size:,} numbers, and {flag} takes {MAX_CODES:,} at most",
            help=f"leave out {flag}, or pool the map before the head",
        )


def _code_map(features: np.ndarray) -> CodeMap | None:
    """A code of the directions in which samples differ most; None where they do not differ.

    Each direction is divided by the fourth root of its variance: half of what would make all
    directions count alike. The estimate of the variance is shrunk towards its mean (Ledoit and
    Wolf, "A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices", 2004, with a
    fixed share).
    """
    directions, variances = principal_directions(features, CODES)
    count, size = len(directions), features.shape[1]
    if count == 0:
        return None
    shrunk = variances + _SHRINKAGE * _total_variance(features) / size
    largest = np.abs(directions).argmax(1)
    signs = np.sign(directions[np.arange(count), largest])
    rows = directions * (signs / np.sqrt(np.sqrt(shrunk)))[:, None]
    steps = np.abs(rows).max(1) / 127
    matrix = np.rint(rows / steps[:, None]).astype(np.int8)
    weights, x = matrix.astype(np.int64), features.astype(np.int64)
    bias = -np.rint(weights @ x.sum(0) / len(x)).astype(np.int32)
    reach = np.abs(x @ weights.T + bias).max(0)
    unit = (reach * steps).max() * _ROOM / 127
    return CodeMap(matrix, bias, *requantizers(steps / unit))


def _total_variance(features: np.ndarray) -> float:
    """Of all features together."""
    x = features.astype(np.int64)
    total = len(x) * int(np.square(x).sum()) - int(np.square(x.sum(0)).sum())
    return total / len(x) ** 2


def _prototypes(codes: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, int | None]:
    """The mean code of each class, the classes, and how far a sample lies from its own."""
    classes, index = np.unique(labels, return_inverse=True)
    if not len(classes):
        return codes[:0], np.zeros(0, np.uint16), None
    means = [np.rint(codes[labels == label].mean(0)) for label in classes]
    prototypes = np.stack(means).astype(np.int8)
    distances = ((codes.astype(np.int64) - prototypes[index]) ** 2).sum(1)
    near = int(np.quantile(distances, NEAR, method="higher"))
    return prototypes, classes.astype(np.uint16), near
