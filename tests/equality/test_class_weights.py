"""Weights of classes in the loss: the same bits everywhere, counted or given, and what they do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support import one_output, pixels
from tests.support.graphs import GRAPHS
from tests.support.mirror import F32_ERROR, Mirror
from tests.support.replay_sessions import hold
from tests.support.sessions import agree, make_stream, opened, sanitized_host
from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.folder import Product, write_folder
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.passes.base import Runner
from tinytrain.reference.interpret import Machine
from tinytrain.reference.warm_up import training_sample
from tinytrain.simulation.host import HostEngine
from tinytrain.simulation.session import plan_session, simulate
from tinytrain.target import load_target

WEIGHTS = "0.5,2,0.25,4"


def compiled_step(**options: object) -> Compiled:
    return build_step(GRAPHS["signal"](), Options(scheme="last-1", seed=11, **options), Runner())  # type: ignore[arg-type]


def written(compiled: Compiled, folder: Path) -> Product:
    return write_folder(compiled, folder / "model", target=load_target("host"))


@pytest.mark.parametrize(
    "options",
    [
        {"class_weights": WEIGHTS, "label_smoothing": 0.1},
        {"class_weights": "balanced"},
        {"class_weights": WEIGHTS, "loss": "binary_cross_entropy", "gradient": "s16"},
    ],
)
def test_reference_and_c_are_equal(tmp_path: Path, options: dict[str, object]) -> None:
    product = written(compiled_step(**options), tmp_path)
    stream = make_stream(opened(product), tmp_path / "data.npz", 40)
    agree(product, sanitized_host(opened(product)), stream)


def test_replayed_samples_are_counted_too(tmp_path: Path) -> None:
    compiled = compiled_step(class_weights="balanced", replay=3)
    product = write_folder(compiled, tmp_path / "model", target=load_target("mps2-an500"))
    stream = make_stream(opened(product), tmp_path / "data.npz", 12)
    found = hold(product, replace(stream, replay_steps=1))
    assert found.health is not None and sum(one.labels for one in found.health.classes) == 24


def test_a_label_of_one_output_has_the_weight_of_its_class(tmp_path: Path) -> None:
    product = one_output.compiled(tmp_path, ends_in_sigmoid=True, class_weights="balanced")
    path = one_output.data(tmp_path)
    stream = plan_session(opened(product), data=path, eval=path, steps=30, evaluate_every=15)
    found, wanted = agree(product, HostEngine(opened(product)), stream)
    assert found.checkpoints == wanted.checkpoints


def test_pixels_have_the_weights_of_their_classes(tmp_path: Path) -> None:
    path = pixels.data(tmp_path)
    product = pixels.compiled(tmp_path, class_weights=str(path), gradient="f32")
    weights = str(product.manifest.options["class_weights"]).split(",")
    assert float(weights[0]) < 1 < float(weights[1])  # most pixels show no spot
    stream = plan_session(opened(product), data=path, eval=path, steps=12)
    agree(product, HostEngine(opened(product)), stream)
    graph = product.compiled.graph
    given = training_sample(graph, None, 1, np.random.default_rng(0))
    known = Machine(graph).run(given)
    loss = next(node for node in graph.nodes if node.op == "pixel_cross_entropy")
    logits = torch.tensor(known[graph.outputs[1]], dtype=torch.float64, requires_grad=True)
    labels = torch.tensor(given["labels"].astype(np.int64))
    numbers = [float(weight) for weight in weights]
    Mirror.loss_of(loss.op, logits, labels, 0.0, numbers).backward()
    assert np.allclose(known[loss.outputs[1]], logits.grad.numpy(), atol=F32_ERROR / 10)


def test_the_heaviest_class_does_not_overshoot_at_the_suggested_rate() -> None:
    plain = compiled_step().guidance
    for text, longer in (("0.5,1,1,1", 1.0), ("1,1,1,16", 16.0), ("balanced", 4.0)):
        found = compiled_step(class_weights=text).guidance
        assert found.limit is not None and plain.limit is not None
        assert found.limit == pytest.approx(plain.limit / longer, rel=0.06)
        assert found.suggested is not None and plain.suggested is not None
        assert found.suggested <= found.limit
        assert found.suggested == pytest.approx(plain.suggested / max(1.0, longer / 4), rel=0.06)


def test_a_saved_file_holds_the_counts(tmp_path: Path) -> None:
    balanced, plain = (compiled_step(class_weights=text) for text in ("balanced", "none"))
    products = []
    for name, step in (("balanced", balanced), ("plain", plain)):
        (tmp_path / name).mkdir()
        products.append(written(step, tmp_path / name))
    more = products[0].manifest.saved_bytes - products[1].manifest.saved_bytes
    assert more == 2 * products[0].manifest.output.classes


def test_the_rare_class_is_learned(tmp_path: Path) -> None:
    """One class in ten of samples that overlap: without weights it is hardly ever predicted."""
    rng = np.random.default_rng(0)
    y = np.arange(600) % 10 == 0
    x = rng.normal(size=(600, 6)).astype(np.float32)
    x[:, 0] += y
    np.savez(tmp_path / "rare.npz", x=x, y=y.astype(int))
    recall = {}
    for text in ("none", "balanced", "1,4"):
        (tmp_path / text).mkdir()
        options = {"class_weights": text, "weight_headroom": 4.0, "learning_rate": 0.02}
        product = one_output.compiled(tmp_path / text, ends_in_sigmoid=True, **options)
        data = tmp_path / "rare.npz"
        found = simulate(product.directory, data=data, eval=data, steps=3000)
        assert found.class_accuracy_after is not None
        recall[text] = found.class_accuracy_after[1] or 0.0
    assert recall["balanced"] > recall["none"] + 0.2 and recall["1,4"] > recall["none"] + 0.2
