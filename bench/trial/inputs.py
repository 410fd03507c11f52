"""The inputs that a model is tried on: fixed noise, or what lies beside the file."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinytrain.frontend.proof import input_ranges
from tinytrain.ir.graph import Graph

COUNTS = ((30e6, 128, 256), (math.inf, 20, 64))
"""Up to so many multiplications: how many inputs are compared, and how many others calibrate."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """Samples in the model's own shape and layout.

    Attributes:
        compared: f32 [N, ...], of which outputs are compared.
        calibration: other ones of the same generator.
        source: what they are, for the table.
    """

    compared: np.ndarray
    calibration: np.ndarray
    source: str


def make_inputs(path: Path, graph: Graph, macs: float) -> Inputs:
    """NAME.npz's `x` beside the file, else noise of the range that the model's input has.

    A file NAME.KIND.tflite has the inputs of NAME.npz. Where they are too few, more are drawn from
    them, each element by itself.
    """
    count, calibrating = next(counts for limit, *counts in COUNTS if macs <= limit)
    generator = np.random.default_rng(0)
    size = (count + calibrating, *graph.source.shape[1:])
    given = _beside(path, size[1:])
    limits = input_ranges(graph)[graph.sample[0]]
    if given is not None:
        rows = generator.integers(len(given), size=size)
        drawn = np.take_along_axis(given, rows.reshape(len(rows), -1), 0)
        x = np.concatenate([given, drawn])[: len(drawn)].reshape(size)
        source = f"like {path.name.split('.')[0]}.npz"
    elif limits is None and _counts_to_255(graph):
        x, source = generator.integers(0, 256, size), "integers 0 to 255"
    elif limits is None:
        x, source = generator.standard_normal(size), "normal"
    else:
        x, source = generator.uniform(*limits, size), f"uniform {limits[0]:.3g} to {limits[1]:.3g}"
    x = x.astype(np.float32)
    return Inputs(x[:count], x[count:], source)


def _beside(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The inputs that lie beside a file, f32 [N, elements]."""
    found = path.with_name(f"{path.name.split('.')[0]}.npz")
    if not found.is_file():
        return None
    with np.load(found) as data:
        x = np.asarray(data["x"], np.float32) if "x" in data else None
    return x.reshape(len(x), -1) if x is not None and x[0].size == math.prod(shape) else None


def _counts_to_255(graph: Graph) -> bool:
    """Whether a float model computes with integers of eight bits, as some toolchains write them."""
    return any(
        node.op == "activation" and node.attrs["function"] == "clip" and node.attrs["beta"] == 255.0
        for node in graph.nodes
    )


def hints(path: Path) -> dict[str, Any]:
    """What `index.json` beside the file says of it: `loss` tells a classifier from a regression."""
    index = path.with_name("index.json")
    if not index.is_file():
        return {}
    entries: list[dict[str, Any]] = json.loads(index.read_text(encoding="utf-8"))
    return next((entry for entry in entries if entry.get("file") == path.name), {})
