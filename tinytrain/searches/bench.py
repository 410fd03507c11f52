"""One training of a candidate, in whichever process: model and samples stay in its memory."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinytrain.compiler.compiled import Compiled
from tinytrain.data import Dataset
from tinytrain.experiments.pool import Report
from tinytrain.searches.figure import BALANCED
from tinytrain.searches.frozen_rows import FrozenRows, SearchRows
from tinytrain.searches.measured import SearchTrial
from tinytrain.searches.split import SearchSamples, strata, thinned
from tinytrain.searches.store import finite
from tinytrain.searches.switches import Switches
from tinytrain.searches.trial import trial
from tinytrain.simulation.library import LibrarySamples
from tinytrain.simulation.stream import TARGET_DTYPES

LEARNED_BYTES = 2**28
"""Of the samples of one training, at most."""


@dataclass(frozen=True, eq=False)
class _Bench:
    """A switchable library, and the samples of a search."""

    switches: Switches
    samples: SearchSamples


def write_bench(folder: Path, compiled: Compiled, samples: SearchSamples) -> tuple[Path, Path]:
    """Writes what `run_training` reads: the step of the largest scheme, and the samples."""
    paths = folder / "largest.pickle", folder / "samples.pickle"
    for path, held in zip(paths, (compiled, samples), strict=True):
        path.write_bytes(pickle.dumps(held))
    return paths


def run_training(
    largest: Path, samples: Path, cache: Path, training: SearchTrial, report: Report
) -> dict[str, Any]:
    """Trains a candidate from the factory state, and lets the judges look.

    Args:
        largest, samples: from `write_bench` of the same search.
        cache: folder for libraries.

    Returns:
        `loss` of the judges, None where it was not finite, and `accuracy`.
    """
    bench = _bench(largest, samples, cache)
    length = training.length
    report("", 0, 1)
    score = trial(
        bench.switches,
        training.scheme,
        _learned(samples, length.steps, training.seed),
        _judges(samples, length.samples, length.judges, training.seed),
        steps=length.steps,
        seeds=(training.seed,),
        balanced=bench.samples.figure == BALANCED,
    )
    return {"loss": finite(score.loss), "accuracy": float(score.accuracy)}


@functools.lru_cache(maxsize=1)
def _bench(largest: Path, samples: Path, cache: Path) -> _Bench:
    compiled, held = pickle.loads(largest.read_bytes()), _samples(samples)
    data = {"data": held.data} if held.eval is None else {"data": held.data, "eval": held.eval}
    rows = FrozenRows(data, largest.parent / "frozen", str(samples))
    return _Bench(Switches(compiled, cache, rows), held)


@functools.lru_cache(maxsize=1)
def _samples(path: Path) -> SearchSamples:
    found: SearchSamples = pickle.loads(path.read_bytes())
    return found


@functools.lru_cache(maxsize=3)
def _learned(path: Path, steps: int, seed: int) -> LibrarySamples:
    """As many samples as there are steps, drawn by the seed; all where there are no more, and no
    more than `LEARNED_BYTES`."""
    samples = _samples(path)
    index, _ = samples.split(seed)
    most = min(steps, max(LEARNED_BYTES // samples.data.spec.size, 1))
    if most < len(index):
        index = np.sort(np.random.RandomState(seed).permutation(index)[:most])
    return _rows(samples.data, "data", index, seed)


@functools.lru_cache(maxsize=3)
def _judges(path: Path, name: str, most: int, seed: int) -> LibrarySamples:
    """Of a training with this seed; those that report are the same for all."""
    samples = _samples(path)
    if name == "eval":
        assert samples.eval is not None, "there are samples to report on"
        return _rows(samples.eval, name, thinned(strata(samples.eval), most), seed)
    judges = samples.split(seed)[1]
    judges = judges[thinned(strata(samples.data)[judges], most)]
    return _rows(samples.data, "data", judges, seed)


def _rows(data: Dataset, of: str, index: np.ndarray, seed: int) -> SearchRows:
    chosen = library_samples(data, index)
    return SearchRows(
        chosen.targets, chosen.inputs, of=of, rows=index.astype(np.int64), backwards=seed % 2 == 1
    )


def library_samples(data: Dataset, index: np.ndarray | Sequence[int]) -> LibrarySamples:
    """Chosen samples as a library takes them."""
    chosen = np.asarray(index)
    targets = np.ascontiguousarray(data.targets(chosen), TARGET_DTYPES[data.spec.wants])
    return LibrarySamples(targets, np.ascontiguousarray(data.quantized(chosen)))
