"""Sessions with a replay buffer: every engine beside the reference."""

from __future__ import annotations

from dataclasses import replace

from tests.support.sessions import opened, reference_engine, run, sanitized_host
from tinytrain.compiler.folder import Product
from tinytrain.saved_file import read_saved
from tinytrain.simulation.engine import Engine, RawOutcome
from tinytrain.simulation.qemu import QemuEngine
from tinytrain.simulation.stream import SampleStream


def engines_of(product: Product) -> dict[str, Engine]:
    folder = opened(product)
    host = sanitized_host(folder)
    return {
        "host": host,
        "host without kept results": replace(host, frozen_memory=0),
        "Cortex-M7": QemuEngine(folder),
    }


def hold(product: Product, stream: SampleStream) -> RawOutcome:
    """Every engine agrees with the reference; returns what that found."""
    wanted = run(reference_engine(product.compiled), stream)
    assert wanted.saved is not None
    replay = opened(product).manifest.replay
    slots = 0 if replay is None or replay.in_flash else replay.nbytes
    for name, engine in engines_of(product).items():
        found = run(engine, stream)
        assert found.losses.tobytes() == wanted.losses.tobytes(), name
        assert found.weights == wanted.weights, name
        assert found.after.predictions == wanted.after.predictions, name
        assert found.checkpoints == wanted.checkpoints, name
        assert found.saved is not None
        saved = read_saved(found.saved)
        assert saved.weights + saved.state == wanted.saved, name
        # What the slots themselves hold lies behind the bookkeeping.
        assert len(saved.samples) == len(wanted.samples) + slots, name
        assert saved.samples.startswith(wanted.samples), name
        assert len(wanted.samples) in (0, _bookkeeping(product)), name
    return wanted


def _bookkeeping(product: Product) -> int:
    compiled = product.compiled
    return 8 + 8 * max(compiled.classes, 1) + 2 * compiled.options.replay
