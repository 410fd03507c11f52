"""The size of a model's state without its arena, from the graph alone: nothing is emitted."""

from __future__ import annotations

from collections.abc import Iterable

from tinytrain.ir.graph import Graph
from tinytrain.ir.trained import trained_tensors
from tinytrain.reference.machine import scale_names
from tinytrain.saved_file import layout

_SCALE_BYTES = 12
"""Of a `tt_scale`."""
_ALIGNMENT = 8
"""Of the arena, which stands last."""


def state_bytes(
    graph: Graph, beside: int = 0, *, buffers: Iterable[int] = (), health: bool = True
) -> int:
    """Bytes of a state in front of its arena.

    Args:
        graph: a training step.
        beside: bytes of what no graph tells, a multiple of 4: the step's own fields, class counts.
        buffers: bytes of each buffer behind the parameters, such as `Replay.ram_bytes`.
        health: whether the model counts what goes wrong.
    """
    at = beside + _SCALE_BYTES * len(scale_names(graph))
    for data in graph.parameters.values():
        at = _aligned(at, data.itemsize) + data.nbytes
    for nbytes in buffers:
        at = _aligned(at, 4) + nbytes
    if health and graph.parameters:
        gradient = layout("tt_gradient_health", "tinytrain.h").nbytes
        update = layout("tt_update_health", "tinytrain.h").nbytes
        at = _aligned(at, 4) + gradient * len(scale_names(graph))
        at += update * len(trained_tensors(graph))
    return _aligned(at, _ALIGNMENT)


def _aligned(at: int, nbytes: int) -> int:
    return -(-at // nbytes) * nbytes
