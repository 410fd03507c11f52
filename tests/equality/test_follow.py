"""Following drift: the same moments, biases and multipliers everywhere, and what they keep to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.graphs import GRAPHS, Net
from tests.support.sessions import make_stream, opened, reference_engine, run, sanitized_host
from tinytrain.compiler.folder import Product, write_folder
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.errors import UsageError
from tinytrain.passes.base import Runner
from tinytrain.simulation.device import load
from tinytrain.simulation.engine import Engine
from tinytrain.simulation.qemu import QemuEngine
from tinytrain.simulation.session import plan_session, simulate
from tinytrain.simulation.stream import SampleStream
from tinytrain.target import load_target

STEPS = 12


def samples_for(graph: str, count: int = 6) -> np.ndarray:
    """Inputs in the middle of their range, so that whole-range samples are another world."""
    shape = GRAPHS[graph]().inputs[0].type.shape[1:]
    return np.random.default_rng(5).integers(-30, 20, (count, *shape)).astype(np.int8)


def compiled(graph: str, folder: Path, target: str = "mps2-an500", **options: object) -> Product:
    chosen = Options(**{"scheme": "head", "seed": 3, "follow": "auto", **options})  # type: ignore[arg-type]
    step = build_step(GRAPHS[graph](), chosen, Runner(), samples_for(graph))
    return write_folder(step, folder / "model", target=load_target(target))


def following(product: Product, folder: Path) -> SampleStream:
    return replace(make_stream(opened(product), folder / "data.npz", STEPS), follows=True)


@pytest.mark.parametrize(
    ("graph", "target"), [("mixture", "mps2-an500"), ("convolutions", "mps3-an547")]
)
def test_following_equals_the_reference(graph: str, target: str, tmp_path: Path) -> None:
    product = compiled(graph, tmp_path, target)
    folder, stream = opened(product), following(product, tmp_path)
    wanted = run(reference_engine(product.compiled), stream)
    assert wanted.saved is not None
    engines: dict[str, Engine] = {"host": sanitized_host(folder), target: QemuEngine(folder)}
    saved = set()
    for name, engine in engines.items():
        found = run(engine, stream)
        assert found.saved is not None
        assert found.saved[48:-4] == wanted.saved, name
        assert found.predictions == wanted.predictions, name
        assert found.after.predictions == wanted.after.predictions, name
        assert found.followed == STEPS
        saved.add(found.saved)
    assert len(saved) == 1
    # Training goes on from there, the same everywhere, and it is not what it would be without.
    later = replace(make_stream(folder, tmp_path / "more.npz", 6), parameters_in=saved.pop())
    outcomes = [run(engine, later) for engine in engines.values()]
    assert outcomes[0].saved == outcomes[1].saved
    assert outcomes[0].losses.tobytes() == outcomes[1].losses.tobytes()
    plain = run(engines["host"], replace(later, parameters_in=None))
    assert plain.losses.tobytes() != outcomes[0].losses.tobytes()


def test_a_state_that_followed_nothing_is_the_model_without(tmp_path: Path) -> None:
    with_it = compiled("mixture", tmp_path / "with", "host")
    without = compiled("mixture", tmp_path / "without", "host", follow=None)
    stream = make_stream(opened(with_it), tmp_path / "data.npz", STEPS)
    found = [run(reference_engine(one.compiled), stream) for one in (with_it, without)]
    assert found[0].losses.tobytes() == found[1].losses.tobytes()
    assert found[0].weights == found[1].weights


def test_a_device_follows_and_forgets(tmp_path: Path) -> None:
    product = compiled("mixture", tmp_path, "host")
    folder = opened(product)
    stream = make_stream(folder, tmp_path / "data.npz", STEPS)
    x = stream.train.samples(slice(None))
    with load(product.directory) as device:
        before = device.predict(x)
        assert device.follow(x) is None
        for _ in range(20):
            device.follow(x)
        followed = device.follow(x, predict=True)
        assert followed is not None and followed.shape == before.shape
        after = device.predict(x)
        assert not np.array_equal(after, before)
        device.save(tmp_path / "saved.bin")
        device.follow_reset()
        np.testing.assert_array_equal(device.predict(x), before)
        device.load(tmp_path / "saved.bin")
        np.testing.assert_array_equal(device.predict(x), after)


def test_the_manifest_says_what_follows_and_what_it_takes(tmp_path: Path) -> None:
    manifest = compiled("mixture", tmp_path, "host", follow="1").manifest
    assert manifest.follow is not None
    assert len(manifest.follow.layers) == 1
    assert manifest.ram["followed channels"] == manifest.follow.ram
    assert manifest.follow.ram == 16 * manifest.follow.channels + 4
    assert manifest.frozen_bytes == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"scheme": "full"}, "no convolution can follow drift"),
        ({"follow": "99"}, "follow='99': "),
        ({"follow": "conv_9999"}, "the model has no such convolution"),
        ({"replay": 4}, "replay= keeps what the frozen layers give"),
        ({"feed": "rows"}, "feed='rows' never has it"),
    ],
)
def test_what_cannot_be_followed_is_refused(
    options: dict[str, object], told: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=told) as error:
        compiled("mixture", tmp_path, **options)
    assert error.value.help
    assert not (tmp_path / "model").exists()


def test_a_network_without_maps_is_told_to_leave_it_out() -> None:
    net = Net((1, 1, 1, 6), 1)
    graph = net.finish(net.dense(net.dense(net.flat(net.x), 8, clamp="relu"), 4))
    samples = np.zeros((4, 1, 1, 6), np.int8)
    with pytest.raises(UsageError) as error:
        build_step(graph, Options(scheme="head", follow="auto"), Runner(), samples)
    assert error.value.help is not None and error.value.help.startswith("leave out --follow: ")


def test_samples_have_to_say_what_training_was() -> None:
    with pytest.raises(UsageError, match="no samples to say what that is"):
        build_step(GRAPHS["mixture"](), Options(scheme="head", follow="auto"), Runner())


def test_a_session_follows_without_labels(tmp_path: Path) -> None:
    product = compiled("mixture", tmp_path, "host")
    make_stream(opened(product), tmp_path / "data.npz", STEPS)
    with np.load(tmp_path / "data.npz") as arrays:
        np.savez(tmp_path / "x.npz", x=arrays["x"])
    session = {"data": tmp_path / "x.npz", "eval": tmp_path / "data.npz", "steps": 5}
    result = simulate(product.directory, **session, follow=True)  # type: ignore[arg-type]
    assert (result.steps, result.followed, result.loss_last) == (0, 5, None)
    wrongs = ({"learning_rate": 0.1}, {"order": "by-class"}, {"evaluate_every": 2}, {"kept": "f"})
    for wrong in wrongs:
        with pytest.raises(UsageError):
            plan_session(opened(product), **session, follow=True, **wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="losses= is about training"):
        simulate(product.directory, **session, follow=True, losses=tmp_path / "l")  # type: ignore[arg-type]


def test_following_where_nothing_trains(tmp_path: Path) -> None:
    head = compiled("mixture", tmp_path / "head", "host")
    make_stream(opened(head), tmp_path / "data.npz", STEPS)
    product = compiled("mixture", tmp_path, "host", scheme="none")
    folder, data = opened(product), tmp_path / "data.npz"
    stream = plan_session(folder, data=data, eval=data, steps=STEPS, follow=True)
    wanted = run(reference_engine(product.compiled), stream)
    found = run(sanitized_host(folder), stream)
    assert wanted.saved is not None and found.saved is not None
    assert found.saved[48:-4] == wanted.saved
    assert found.after.predictions == wanted.after.predictions
    assert simulate(product.directory, data=data, steps=5, follow=True).followed == 5


def test_few_samples_do_not_say_what_is_normal() -> None:
    for count, expected in ((1, 1), (32, 0)):
        samples = np.repeat(samples_for("mixture", 1), count, axis=0)
        options = Options(scheme="head", follow="auto")
        found = build_step(GRAPHS["mixture"](), options, Runner(), samples).warnings
        assert sum("too few to say what is normal" in one for one in found) == expected


def test_a_model_that_follows_nothing_says_so(tmp_path: Path) -> None:
    product = compiled("mixture", tmp_path, "host", follow=None)
    stream = make_stream(opened(product), tmp_path / "data.npz", STEPS)
    with pytest.raises(UsageError, match="follows drift"):
        simulate(product.directory, data=tmp_path / "data.npz", steps=2, follow=True)
    with load(product.directory) as device, pytest.raises(UsageError, match="follows drift"):
        device.follow(stream.train.samples(slice(0, 1)))
