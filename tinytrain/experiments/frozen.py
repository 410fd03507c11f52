"""The frozen-activation cache: computed once, for all runs with the same frozen layers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tinytrain.compiler.compiled import Compiled
from tinytrain.emit.frozen import frozen_part
from tinytrain.experiments.once import computed_once
from tinytrain.ir.operations import loss_index
from tinytrain.simulation.library import HostLibrary

_CHUNK = 64
"""Samples for one call of the library."""


def frozen_identity(compiled: Compiled) -> str:
    """A hash of what decides the bytes that frozen layers leave, for runs that share them.

    These are the layers, with their constants, and how the bytes that the others read of them
    follow each other. Where in the arena they lie does not matter, so a rule that needs another
    plan mostly shares them too.
    """
    graph, plan = compiled.plan.graph, compiled.plan
    loss = loss_index(graph)
    part = frozen_part(graph, plan, graph.nodes[:loss])
    nodes = graph.nodes[: part.nodes]
    digest = hashlib.sha256()
    for node in nodes:
        ends = [f"{value.name}:{value.type}" for value in (*node.inputs, *node.outputs)]
        digest.update(f"{node.op}{sorted(node.attrs.items())}{ends}\n".encode())
        for value in node.inputs:
            if value in graph.constants:
                digest.update(_constant(value.name, graph.constants[value]))
    start = 0
    for offset, size in part.spans:
        for value in (*graph.inputs, *(value for node in nodes for value in node.outputs)):
            place = plan.offsets.get(value)
            if place is not None and offset <= place < offset + size:
                digest.update(f"{value.name}@{start + place - offset}\n".encode())
        start += size
    return digest.hexdigest()[:32]


def _constant(name: str, data: np.ndarray) -> bytes:
    described = f"{name}:{data.dtype}:{data.shape}".encode()
    return described + hashlib.sha256(np.ascontiguousarray(data).tobytes()).digest()


def frozen_activations(
    library: HostLibrary,
    count: int,
    inputs: Callable[[slice], np.ndarray],
    key: str,
    cache: Path,
) -> np.ndarray:
    """The outputs of the frozen layers for each sample, memory-mapped, uint8 [N, frozen_bytes].

    Args:
        count: N.
        inputs: gives those of some samples, int8 [n, ...]; asked where nothing is kept yet.
        key: names the layers and the samples; nothing else may have the same.
        cache: folder for such files.
    """
    size = library.model.frozen_bytes

    def chunks() -> Iterator[np.ndarray]:
        for start in range(0, count, _CHUNK):
            chunk = np.ascontiguousarray(inputs(slice(start, min(start + _CHUNK, count))))
            found = np.empty((len(chunk), size), np.uint8)
            library.frozen(chunk, found)
            yield found

    return shared_rows(chunks, np.dtype(np.uint8), (count, size), key, cache)


def shared_rows(
    chunks: Callable[[], Iterator[np.ndarray]],
    dtype: np.dtype,
    shape: tuple[int, int],
    key: str,
    cache: Path,
) -> np.ndarray:
    """Rows that whoever needs them first computes, memory-mapped, of `dtype` and `shape`.

    Args:
        chunks: gives the rows in order, some at a time.
        key: names them; nothing else may have the same.
        cache: folder for such files.
    """

    def compute(path: Path) -> None:
        with path.open("wb") as file:
            for chunk in chunks():
                file.write(chunk.tobytes())

    name = hashlib.sha256(key.encode()).hexdigest()[:32]
    path = computed_once(cache / f"frozen-{name}.bin", compute)
    # What is written to the array stays with the process.
    return np.memmap(path, dtype, "c", shape=shape)
