"""Runs one session on the reference and on what was compiled, and compares the outcomes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinytrain.compiler.folder import Product
from tinytrain.compiler.pipeline import Compiled
from tinytrain.losses import SampleTarget
from tinytrain.saved_file import read_saved
from tinytrain.simulation.engine import Engine, RawOutcome, ignore_progress
from tinytrain.simulation.folder import GeneratedFolder, open_folder
from tinytrain.simulation.host import HostEngine
from tinytrain.simulation.reference import ReferenceEngine
from tinytrain.simulation.session import plan_session
from tinytrain.simulation.stream import SampleStream

RATE = 2.0**-7
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def make_stream(folder: GeneratedFolder, path: Path, steps: int, seed: int = 0) -> SampleStream:
    """Random samples over the whole input range with labels or targets, also evaluated."""
    spec = folder.spec
    rng = np.random.default_rng(seed)
    shape = (4, *spec.source_shape[1:])
    assert spec.scale is not None
    real = (rng.integers(-128, 128, shape) - spec.zero_point).astype(np.float32) * np.float32(
        spec.scale
    )
    if spec.classes:
        y = rng.integers(0, spec.classes, 4)
    elif spec.wants is SampleTarget.PIXELS:
        y = rng.integers(0, spec.pixel_classes, (4, spec.pixels))
    elif spec.wants is SampleTarget.SHARES:
        y = rng.integers(0, 2, (4, spec.output_size)).astype(np.float32)
    else:
        y = rng.normal(size=(4, spec.output_size)).astype(np.float32)
        y = np.clip(y, *(spec.output_range or (-np.inf, np.inf)))
    np.savez(path, x=real, y=y)
    rate = min(RATE, folder.manifest.rate_limit) if folder.manifest.parameters else None
    return plan_session(folder, data=path, eval=path, steps=steps, learning_rate=rate)


def reference_engine(compiled: Compiled) -> ReferenceEngine:
    """The reference for what was compiled."""
    return ReferenceEngine(
        compiled.graph,
        compiled.scales,
        compiled.rate,
        compiled.options.seed,
        compiled.options.rate_schedule,
        slots=compiled.options.replay,
        slots_in=compiled.options.replay_in,
        rehearsal=compiled.rehearsal,
        fade=compiled.fade,
        guard_interval=compiled.options.guard,
        enrolment=compiled.enrolment,
        pseudo=compiled.pseudo,
    )


def run(engine: Engine, stream: SampleStream) -> RawOutcome:
    """One session."""
    return engine.run(stream, ignore_progress)


def sanitized_host(
    folder: GeneratedFolder, *, frozen_memory: int = HostEngine.frozen_memory
) -> HostEngine:
    """The host's build with sanitizers, which end a session at the first fault."""
    return HostEngine(
        folder,
        optimise="-O1",
        cflags_extra=SANITIZE,
        variant="sanitized",
        frozen_memory=frozen_memory,
    )


def assert_equal(found: RawOutcome, wanted: RawOutcome, state: bytes) -> None:
    """Weights, state of training, losses and evaluations are equal to the bit.

    Args:
        state: what the reference holds beside the weights: scales, rate, seed, count.
    """
    assert found.health == wanted.health
    assert found.losses.tobytes() == wanted.losses.tobytes()
    assert found.weights == wanted.weights
    assert found.saved is not None
    saved = read_saved(found.saved)
    assert saved.weights + saved.state == wanted.weights + state
    assert (found.before, found.after) == (wanted.before, wanted.after) or _same(found, wanted)
    assert found.predictions == wanted.predictions


def agree(product: Product, engine: Engine, stream: SampleStream) -> tuple[RawOutcome, RawOutcome]:
    """A session on an engine gives the bits of the reference. Returns what both found."""
    wanted = run(reference_engine(product.compiled), stream)
    assert wanted.saved is not None
    found = run(engine, stream)
    assert_equal(found, wanted, wanted.saved[len(wanted.weights) :])
    return found, wanted


def _same(found: RawOutcome, wanted: RawOutcome) -> bool:
    return all(
        (a.predictions, a.squares, a.right) == (b.predictions, b.squares, b.right)
        for a, b in ((found.before, wanted.before), (found.after, wanted.after))
    )


def opened(product: Product) -> GeneratedFolder:
    """The folder that was written."""
    return open_folder(product.directory)
