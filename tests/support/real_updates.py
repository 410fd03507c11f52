"""Training steps in the reference, seen in real numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.support.graphs import GRAPHS
from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.ir.graph import Value
from tinytrain.ir.ops_update import VELOCITY_BITS
from tinytrain.passes.base import Runner
from tinytrain.reference import update
from tinytrain.reference.interpret import Machine
from tinytrain.reference.lowering import quantization

RATE = 2.0**-9


def prepared(**options: object) -> Compiled:
    chosen = {"scheme": "last-2", "gradient": "f32", "fraction_bits": 8, "seed": 3, **options}
    return build_step(GRAPHS["convolutions"](), Options(**chosen), Runner())  # type: ignore[arg-type]


def real(machine: Machine) -> dict[str, np.ndarray]:
    """Trained tensors and velocities in the real domain."""
    found: dict[str, np.ndarray] = {}
    parameters = machine.parameters
    by_name = {value.name: value for value in parameters}
    for value, data in parameters.items():
        if value.name.endswith(("_fraction", "_second")):
            continue
        whole = data.astype(np.int64)
        below = by_name.get(f"{value.name}_fraction")
        is_velocity = value.name.endswith("_velocity")
        bits = 8 if is_velocity else 0
        if below is not None:
            stored = VELOCITY_BITS if is_velocity else 8
            whole = update.whole(data, parameters[below], stored)
            bits = 8
        scale = scale_of(value)
        found[value.name] = whole * scale * 2.0**-bits
    return found


def scale_of(value: Value) -> np.ndarray:
    scale = quantization(value).scales(value.type.shape[0])
    return scale.reshape((-1,) + (1,) * (len(value.type.shape) - 1))


def run(compiled: Compiled, steps: int) -> list[dict[str, np.ndarray]]:
    """State before the first step and after each."""
    machine = Machine(compiled.graph, rate=RATE, seed=5)
    for name, scale in compiled.scales.items():
        machine.scales[name] = replace(scale)
    rng = np.random.default_rng(1)
    x, label = compiled.graph.inputs
    states = [real(machine)]
    for step in range(steps):
        sample = rng.integers(-100, 101, x.type.shape).astype(np.int8)
        machine.run({x.name: sample, label.name: np.array([step % 3], np.int32)})
        states.append(real(machine))
    return states
