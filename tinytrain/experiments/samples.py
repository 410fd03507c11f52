"""The data of an experiment as the integers of a model, prepared once for all runs."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tinytrain.data import Coverage, Dataset, SampleSpec, coverage
from tinytrain.data.dataset import CHUNK, labelled
from tinytrain.experiments.data import Data
from tinytrain.experiments.learner import Samples
from tinytrain.experiments.once import computed_once
from tinytrain.experiments.splits import SomeSamples, Split


def integer_samples(data: Data, spec: SampleSpec, cache: Path) -> tuple[Samples, str]:
    """All samples as a model takes them, memory-mapped from a file that is made once.

    Args:
        data: what the run takes of it.
        spec: of the compiled model.
        cache: folder for such files.

    Returns:
        The samples, and the cache key of their inputs.

    Raises:
        DataError: they do not fit the model.
    """
    inputs: list[np.ndarray] = []
    keys = _keys(data, spec)
    for key, split in zip(keys, (data.train, data.test), strict=True):

        def write(path: Path, split: Split = split) -> None:
            _write_integers(split, spec, path)

        path = computed_once(cache / f"samples-{key}.npy", write)
        inputs.append(np.load(path, mmap_mode="r"))
    labels = [split.labels.astype(np.int32) for split in (data.train, data.test)]
    return Samples(inputs[0], labels[0], inputs[1], labels[1]), "".join(keys)


def input_coverage(data: Data, spec: SampleSpec, cache: Path) -> dict[str, Coverage]:
    """Of the splits "train" and "test", and apart from them of "eval_old" where there is an old
    task: worked out once; arguments as for `integer_samples`."""
    first, second = _keys(data, spec)
    found = {"train": (first, data.train), "test": (second, data.test)}
    if data.old:
        own, old = np.split(np.arange(len(data.test.labels)), [-data.old])
        found["test"] = (f"{second}-own", SomeSamples(data.test, own))
        found["eval_old"] = (f"{second}-old", SomeSamples(data.test, old))
    return {
        name: _coverage(split, spec, cache / f"coverage-{key}.json")
        for name, (key, split) in found.items()
    }


def _coverage(split: Split, spec: SampleSpec, file: Path) -> Coverage:
    def write(path: Path) -> None:
        parts = map(coverage, _datasets(split, spec))
        path.write_text(json.dumps(asdict(functools.reduce(Coverage.joined, parts))), "utf-8")

    return Coverage(**json.loads(computed_once(file, write).read_text("utf-8")))


def _keys(data: Data, spec: SampleSpec) -> list[str]:
    """Of both splits in the cache."""
    meaning = hashlib.sha256(repr(spec).encode()).hexdigest()
    # Which samples a limit chose shows in their labels' number alone: they are evenly spread.
    decided_by = (
        f"{data.digest}{meaning}{place}{len(split.labels)}"
        for place, split in enumerate((data.train, data.test))
    )
    return [hashlib.sha256(text.encode()).hexdigest()[:32] for text in decided_by]


def _write_integers(split: Split, spec: SampleSpec, path: Path) -> None:
    count = len(split.labels)
    with path.open("wb") as file:
        header = {"descr": "|i1", "fortran_order": False, "shape": (count, *spec.shape[1:])}
        np.lib.format.write_array_header_1_0(file, header)
        for found in _datasets(split, spec):
            file.write(found.quantized(slice(None)).tobytes())


def _datasets(split: Split, spec: SampleSpec) -> Iterator[Dataset]:
    """All samples as a model takes them, some at a time."""
    count = len(split.labels)
    for start in range(0, count, CHUNK):
        index = np.arange(start, min(start + CHUNK, count))
        x = split.samples(index, (spec.shape[1], spec.shape[2]))
        yield labelled(x, split.labels[index], spec, split.where)
