"""Whether a guard looks at another world than the one that is learned, as far as samples tell."""

from __future__ import annotations

import numpy as np

from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.integers import IntegerModel
from tinytrain.compiler.race_samples import KNOWN
from tinytrain.ir.graph import Graph
from tinytrain.quantize.accuracy import integer_outputs
from tinytrain.reference.loss import prediction
from tinytrain.reference.rehearsal import RehearsalSet
from tinytrain.reference.warm_up import evenly_spread

LOOKED_AT = 32
"""Samples of each world, evenly spread: enough to tell two worlds as far apart as `KNOWN` says."""


def two_worlds(
    compiled: Compiled, held: RehearsalSet, given: IntegerModel | None
) -> tuple[str, ...]:
    """A sentence where the model knows the rehearsal set, which the guard looks at by itself, and
    not the labelled calibration samples.

    Args:
        held: what the guard looks at by itself.
        given: with the calibration samples; None where there are none.
    """
    options = compiled.options
    if not options.guard or options.classes is not None or compiled.classes < 2 or given is None:
        return ()
    samples, labels = given.quantized_samples(), given.labels
    if samples is None or labels is None or compiled.pixels > 1:
        return ()
    new = _right(compiled.forward, samples, labels)
    if new >= KNOWN:
        return ()
    old = _right(compiled.forward, held.inputs, held.targets)
    if old < KNOWN:
        return ()
    return (
        f"the guard looks at the rehearsal set, of which the model predicts {old:.0%} right, and "
        f"of the calibration samples {new:.0%}: if these are what it will learn, learning them may "
        "count as harm and be undone. Keep labelled samples of both worlds apart (NAME_guard_look, "
        "simulate --kept)",
    )


def _right(forward: Graph, samples: np.ndarray, labels: np.ndarray) -> float:
    """Share of at most `LOOKED_AT` of the samples that the model predicts right.

    Args:
        forward: s8 graph of a classifier.
        samples: s8 [N, ...], packed.
        labels: int [N].
    """
    index = evenly_spread(len(samples), min(len(samples), LOOKED_AT))
    found = [prediction(row) for row in integer_outputs(forward, samples[index])]
    return float(np.mean(np.array(found) == labels[index]))
