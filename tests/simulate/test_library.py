"""The host library: its steps are those of a session and of the reference, to the bit."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest

from tests.support.graphs import GRAPHS
from tests.support.sessions import RATE, make_stream, opened, reference_engine, run
from tinytrain.compiler.folder import Product, write_folder
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.errors import DataError, ToolchainError, UsageError
from tinytrain.experiments.engines import step_library
from tinytrain.passes.base import Runner
from tinytrain.simulation.host import HostEngine
from tinytrain.simulation.library import HostLibrary, LibrarySamples
from tinytrain.simulation.library_build import build_library
from tinytrain.simulation.stream import SampleStream
from tinytrain.target import load_target

STEPS = 14


def product_of(graph: str, folder: Path, **options: object) -> Product:
    """A compiled graph of the tests."""
    compiled = build_step(GRAPHS[graph](), Options(**options), Runner())  # type: ignore[arg-type]
    return write_folder(compiled, folder, target=load_target("host"))


def library_of(product: Product, cache: Path) -> HostLibrary:
    """Its library."""
    model = product.manifest.interface
    return HostLibrary(build_library(product.directory, model, cache), model)


def samples_of(stream: SampleStream) -> LibrarySamples:
    """The samples to learn from, which are also those to evaluate."""
    train = stream.train
    return LibrarySamples(train.targets(slice(None)), train.quantized(slice(None)))


@pytest.mark.parametrize(
    ("graph", "scheme", "gradient"),
    [
        ("convolutions", "last-2", "s8"),
        pytest.param("mixture", "full", "s16", marks=pytest.mark.slow),
        pytest.param("signal", "head", "f32", marks=pytest.mark.slow),
    ],
)
def test_weights_are_those_of_a_session_and_of_the_reference(
    graph: str, scheme: str, gradient: str, tmp_path: Path
) -> None:
    product = product_of(graph, tmp_path / "model", scheme=scheme, gradient=gradient, seed=3)
    stream = make_stream(opened(product), tmp_path / "data.npz", STEPS)
    session = run(HostEngine(opened(product)), stream)
    reference = run(reference_engine(product.compiled), stream)
    library = library_of(product, tmp_path / "cache")
    samples = samples_of(stream)

    _, before = library.evaluate(samples)
    assert tuple(before) == session.before.predictions
    library.set_learning_rate(RATE)
    losses, predictions = library.train(samples, stream.order)
    assert losses.tobytes() == session.losses.tobytes() == reference.losses.tobytes()
    assert tuple(predictions) == session.predictions
    assert library.save() == session.saved
    assert library.weights_sha256() == hashlib.sha256(reference.weights).hexdigest()
    _, after = library.evaluate(samples)
    assert tuple(after) == session.after.predictions
    # Rates of single steps, from the factory state again.
    library.init()
    rates = np.full(STEPS, RATE, np.float32)
    assert library.train(samples, stream.order, rates)[0].tobytes() == losses.tobytes()


def test_a_regression_is_that_of_a_session_and_none_of_an_experiment(tmp_path: Path) -> None:
    product = product_of("mixture", tmp_path / "model", scheme="head", loss="mean_squared_error")
    stream = make_stream(opened(product), tmp_path / "data.npz", STEPS)
    session = run(HostEngine(opened(product)), stream)
    library = library_of(product, tmp_path / "cache")
    library.set_learning_rate(RATE)
    samples = samples_of(stream)
    assert samples.inputs is not None
    losses, _ = library.train(samples, stream.order)
    assert losses.tobytes() == session.losses.tobytes()
    assert library.save() == session.saved
    outputs = library.infer(samples.inputs)
    squares = ((outputs - samples.targets).astype(np.float64) ** 2).sum(axis=1)
    np.testing.assert_allclose(squares, session.after.squares, rtol=1e-6)
    with pytest.raises(UsageError, match="regression"):
        step_library(product.compiled, tmp_path / "cache")


def test_frozen_activations_and_saved_parameters_change_nothing(tmp_path: Path) -> None:
    product = product_of("convolutions", tmp_path / "model", scheme="last-2")
    stream = make_stream(opened(product), tmp_path / "data.npz", STEPS)
    library = library_of(product, tmp_path / "cache")
    samples = samples_of(stream)
    assert samples.inputs is not None
    wanted, _ = library.train(samples, stream.order)
    evaluated, _ = library.evaluate(samples)

    other = library_of(product, tmp_path / "cache")
    frozen = np.empty((len(samples.targets), other.model.frozen_bytes), np.uint8)
    other.frozen(samples.inputs, frozen)
    from_cache = LibrarySamples(samples.targets, None, frozen)
    first, _ = other.train(from_cache, stream.order[:5])
    saved = other.save()
    other.init()
    other.load(saved)
    rest, _ = other.train(from_cache, stream.order[5:])
    assert np.concatenate([first, rest]).tobytes() == wanted.tobytes()
    assert other.evaluate(from_cache)[0].tobytes() == evaluated.tobytes()
    assert other.save() == library.save()


@pytest.mark.parametrize("scheme", ["last-2", pytest.param("full", marks=pytest.mark.slow)])
def test_replay_is_that_of_a_session(scheme: str, tmp_path: Path) -> None:
    product = product_of("convolutions", tmp_path / "model", scheme=scheme, replay=3, seed=3)
    plan = make_stream(opened(product), tmp_path / "data.npz", STEPS)
    session = run(HostEngine(opened(product)), dataclasses.replace(plan, replay_steps=2))
    library = library_of(product, tmp_path / "cache")
    library.set_learning_rate(RATE)
    losses, _ = library.train(samples_of(plan), plan.order, replay_steps=2)
    assert losses.tobytes() == session.losses.tobytes()
    assert library.save() == session.saved


def test_the_loss_of_an_evaluation_is_cross_entropy(tmp_path: Path) -> None:
    product = product_of("convolutions", tmp_path / "model", scheme="head")
    stream = make_stream(opened(product), tmp_path / "data.npz", 4)
    library = library_of(product, tmp_path / "cache")
    samples = samples_of(stream)
    losses, _ = library.evaluate(samples)
    # A step reports the loss before its update.
    library.set_learning_rate(0.0)
    assert library.train(samples, np.arange(4))[0].tobytes() == losses.tobytes()


def test_what_is_built_is_found_again(tmp_path: Path) -> None:
    product = product_of("convolutions", tmp_path / "model", scheme="head")
    model = product.manifest.interface
    path = build_library(product.directory, model, tmp_path / "cache")
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "cache").iterdir()}
    assert build_library(product.directory, model, tmp_path / "cache") == path
    # The runtime's objects serve another model; its own files and the library are new.
    other = product_of("convolutions", tmp_path / "other", scheme="head", seed=1)
    again = build_library(other.directory, other.manifest.interface, tmp_path / "cache")
    assert again != path
    after = {file: file.stat().st_mtime_ns for file in (tmp_path / "cache").iterdir()}
    assert before.items() <= after.items()
    assert 1 <= len(after) - len(before) <= 4


def test_bad_samples_and_files_are_refused(tmp_path: Path) -> None:
    product = product_of("convolutions", tmp_path / "model", scheme="head")
    stream = make_stream(opened(product), tmp_path / "data.npz", 4)
    library = library_of(product, tmp_path / "cache")
    samples = samples_of(stream)
    with pytest.raises(DataError, match="beyond the 4"):
        library.train(samples, np.array([4]))
    wrong = LibrarySamples(np.full(4, 99, np.int32), samples.inputs)
    with pytest.raises(DataError, match="classes"):
        library.evaluate(wrong)
    with pytest.raises(DataError, match="TT_ERROR_RATE"):
        library.set_learning_rate(2000.0)
    saved = bytearray(library.save())
    saved[60] ^= 1
    with pytest.raises(DataError, match="checksum"):
        library.load(bytes(saved))


def test_bad_libraries_are_refused(tmp_path: Path) -> None:
    product = product_of("convolutions", tmp_path / "other", scheme="head")
    model = product.manifest.interface
    (product.directory / "src" / f"{model.name}.c").write_text("no C")
    with pytest.raises(ToolchainError, match="cannot build"):
        build_library(product.directory, model, tmp_path / "cache")
    (tmp_path / "damaged.so").write_text("no library")
    with pytest.raises(ToolchainError, match="cannot be loaded"):
        HostLibrary(tmp_path / "damaged.so", model)
