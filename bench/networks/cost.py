"""What a training step of each network takes on each core, and whether it is right there."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch.fx.experimental.optimization import fuse

from bench.networks import learning, personal
from bench.networks.catalogue import Row
from tinytrain.compiler.folder import Product
from tinytrain.simulation.engine import ignore_progress
from tinytrain.simulation.folder import open_folder
from tinytrain.simulation.reference import ReferenceEngine
from tinytrain.simulation.session import plan_session, simulate

CORES = {"mps2-an500": "M7", "mps3-an547": "M55", "m0": "M0"}
"""Targets with memory for any of the networks, and the Cortex that each has."""

STEPS = 3


@dataclass(frozen=True)
class Cost:
    """On one core.

    Attributes:
        ram, flash: bytes, everything counted.
        instructions: of a training step.
        is_right: whether the weights after `STEPS` are those of the reference.
    """

    ram: int
    flash: int
    instructions: int
    is_right: bool


@dataclass(frozen=True)
class Costs:
    """Of one network.

    Attributes:
        parameters: weights and biases, batch normalisation folded away.
        error: root mean square of what quantization does to an output, by that of the output.
        on: by core.
    """

    parameters: int
    error: float
    on: Mapping[str, Cost]


def costs(row: Row) -> Costs:
    """Compiles a network for each of `CORES` and trains it there for a few steps."""
    world = row.world()
    network = personal.network_of(row, world, 0)
    found: dict[str, Cost] = {}
    error = 0.0
    with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
        few = learning.write(world.learn.part(slice(0, STEPS)), Path(place) / "few.npz")
        for core in CORES:
            product = personal.compiled(row, network, world, Path(place) / core, target=core)
            result = simulate(product.directory, on="qemu", data=few, steps=STEPS, icount=True)
            wanted = _reference_weights(product, few)
            assert result.instructions_per_step is not None and product.quantization is not None
            found[core] = Cost(
                result.ram_bytes,
                result.flash_bytes,
                result.instructions_per_step,
                result.weights_sha256 == wanted,
            )
            error = product.quantization.rms_error
    parameters = sum(p.numel() for p in fuse(network).parameters())
    return Costs(parameters, error, found)


def _reference_weights(product: Product, data: Path) -> str:
    """SHA-256 of the weights after the same steps on the reference."""
    compiled = product.compiled
    options = compiled.options
    engine = ReferenceEngine(
        compiled.graph, compiled.scales, compiled.rate, options.seed, options.rate_schedule
    )
    stream = plan_session(open_folder(product.directory), data=data, steps=STEPS)
    return hashlib.sha256(engine.run(stream, ignore_progress).weights).hexdigest()
