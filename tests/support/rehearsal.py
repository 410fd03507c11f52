"""Rehearsal sets for models without data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinytrain.compiler.compiled import Compiled
from tinytrain.reference.packed import packed_size
from tinytrain.reference.rehearsal import RehearsalSet


def with_set(compiled: Compiled, slots: int, seed: int = 5) -> Compiled:
    """A training step with random samples to rehearse, not as many of each class."""
    rng = np.random.default_rng(seed)
    inputs = rng.integers(-128, 128, (slots, packed_size(compiled.graph.sample)), np.int8)
    target = compiled.graph.target
    assert target is not None
    if compiled.classes:
        targets = np.sort(rng.integers(0, compiled.classes, slots)).astype(np.int32)
    elif target.type.dtype.numpy == np.uint8:
        classes = compiled.output_size // compiled.pixels
        targets = rng.integers(0, classes, (slots, target.type.size)).astype(np.uint8)
    else:
        targets = rng.normal(size=(slots, target.type.size)).astype(np.float32)
    return replace(compiled, rehearsal=RehearsalSet(inputs, targets))
