"""Training steps of small graphs: built, and run by the reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.ir.graph import Graph
from tinytrain.ir.types import DType
from tinytrain.passes.base import Runner
from tinytrain.reference.interpret import Machine


def step_of(graph: Graph, **options: object) -> Compiled:
    """The planned training step of an s8 forward graph."""
    return build_step(graph, Options(**{"learning_rate": 0.01, **options}), Runner())  # type: ignore[arg-type]


def inputs_of(graph: Graph, seed: int = 0) -> dict[str, np.ndarray]:
    """One random sample with its label or target."""
    rng = np.random.default_rng(seed)
    x, target = graph.inputs
    wanted = np.array([1], np.int32)
    if target.type.dtype is DType.F32:
        wanted = rng.normal(size=target.type.shape).astype(np.float32)
    return {x.name: rng.integers(-128, 128, x.type.shape).astype(np.int8), target.name: wanted}


def plain_step(compiled: Compiled, inputs: dict[str, np.ndarray]) -> Machine:
    """The reference after one step, every value in memory of its own."""
    machine = Machine(compiled.graph, rate=0.01)
    for name, scale in compiled.scales.items():
        machine.scales[name] = replace(scale)
    machine.run(inputs)
    return machine
