"""The catalogue of torch.nn: a layer is taken, right and trains, or is refused by its own name."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.imported import users_output
from tests.support.pages import hold_section
from tests.support.torch_layers import LAYERS, Layer, instead_of, network
from tinytrain.compiler.integers import integer_model
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.errors import ModelError
from tinytrain.frontend import import_model, load_model
from tinytrain.frontend.imported import Imported
from tinytrain.passes.base import Runner
from tinytrain.reference.interpret import Machine
from tinytrain.reference.warm_up import training_sample

TAKEN = [pytest.param(row, id=row.name) for row in LAYERS if instead_of(row.name) is None]
REFUSED = [pytest.param(row, id=row.name) for row in LAYERS if instead_of(row.name) is not None]
CONTAINERS = {
    "Container", "DataParallel", "Module", "ModuleDict", "ModuleList", "ParameterDict",
    "ParameterList", "RNNBase", "RNNCellBase", "Sequential",
}  # fmt: skip
"""What holds layers, or is a base of theirs."""

SAID = (
    ("Softm|LogSoftmax", "a softmax inside of the model"),
    ("(BatchNorm|Dropout|ZeroPad|ConstantPad)3d", "has 5 dimensions"),
    ("Conv3d", "a convolution over 3 dimensions"),
    ("ReflectionPad", "padding of the kind 'reflect'"),
    ("ReplicationPad", "padding of the kind 'replicate'"),
    ("CircularPad", "padding of the kind 'circular'"),
    ("Transformer", "'MultiheadAttention'"),
)
"""What the error says of a layer where that is not its name."""


def test_every_layer_has_a_row() -> None:
    classes = {
        name
        for name, found in vars(nn).items()
        if isinstance(found, type) and issubclass(found, nn.Module)
    }
    losses = {name for name in classes if re.search(r"Loss(2d)?$", name)}
    lazy = {name for name in classes if name.startswith("Lazy")}
    assert {row.name for row in LAYERS} == classes - losses - lazy - CONTAINERS


@pytest.mark.parametrize("layer", TAKEN)
def test_a_layer_is_right_and_trains(layer: Layer) -> None:
    net, x = network(layer)
    with torch.no_grad():
        wanted = net(x).numpy()
    imported = import_model(net, example=x)
    graph = imported.graph
    np.testing.assert_allclose(users_output(graph, x.numpy()), wanted, atol=1e-5)
    samples = np.random.default_rng(0).standard_normal((8, *x.shape[1:])).astype(np.float32)
    _train(imported, samples)


def _train(imported: Imported, samples: np.ndarray) -> None:
    """A step, which the first trained parameter must show."""
    options, runner = Options(), Runner()
    given = integer_model(imported, samples, None, options, runner)
    compiled = build_step(given.forward, options, runner, given.quantized_samples())
    machine = Machine(compiled.graph, rate=4.0)
    machine.scales.update({name: replace(scale) for name, scale in compiled.scales.items()})
    before = {value: data.copy() for value, data in machine.parameters.items()}
    quantized = given.quantized_samples()
    sample = training_sample(compiled.graph, quantized, 0, np.random.default_rng(0))
    loss = machine.run(sample)[compiled.graph.outputs[0]]
    assert np.isfinite(loss).all()
    first = next(iter(before))
    assert not np.array_equal(before[first], machine.parameters[first]), "nothing came through it"


@pytest.mark.parametrize("layer", REFUSED)
def test_a_layer_is_refused_by_its_name(layer: Layer) -> None:
    net, x = network(layer)
    with pytest.raises(ModelError) as caught:
        load_model(net, example=x)
    said = str(caught.value)
    assert f"help: {instead_of(layer.name)}" in said
    words = [words for pattern, words in SAID if re.match(pattern, layer.name)]
    if words:
        assert words[0] in said
    else:
        name = re.sub(r"[123]d$", "", layer.name).lower()
        assert name in said.lower().replace("_", "")


def test_the_page_has_the_catalogue() -> None:
    lines = ["", "| layer | is | use instead |", "|---|---|---|"]
    for layer in LAYERS:
        instead = instead_of(layer.name)
        verdict = "taken" if instead is None else "refused"
        lines.append(f"| `{layer.name}` | {verdict} | {instead or ''} |")
    hold_section("models.md", "layers", "\n".join([*lines, "", ""]))
