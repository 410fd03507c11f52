"""What the head of a network reads of a sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinytrain.ir.graph import Graph
from tinytrain.ir.operations import head_input
from tinytrain.reference.interpret import Machine
from tinytrain.reference.packed import unpacked


class Features:
    """Runs the layers before the head, none of which is trained.

    Args:
        graph: a training graph.
    """

    def __init__(self, graph: Graph) -> None:
        self._value = head_input(graph)
        self._inputs = graph.sample
        count = next(k for k, node in enumerate(graph.nodes) if self._value in node.inputs)
        part = replace(graph, inputs=graph.sample, target=None, nodes=graph.nodes[:count])
        self._machine = Machine(replace(part, outputs=(self._value,), updates={}))

    def of(self, samples: np.ndarray) -> np.ndarray:
        """int8 [N, features] of packed samples, int8 [N, ...]."""
        rows = [
            self._machine.run(unpacked(self._inputs, sample[None]))[self._value].reshape(-1)
            for sample in samples
        ]
        return np.stack(rows)
