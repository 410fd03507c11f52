"""Where the weights of an import are in the file: read off, they give the import's own numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.onnx_models import quantized_model
from tests.support.paths import ROOT
from tests.support.tflite_models import small_model
from tinytrain.frontend import import_model
from tinytrain.frontend.imported import Imported
from tinytrain.frontend.origins import find_origins, layer_reals


def deep() -> nn.Module:
    """Weights whose places have two digits, behind a flattened map, and normalisations."""
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(2, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=8), nn.ReLU(), nn.Flatten(),
        nn.Linear(8 * 64, 40), nn.BatchNorm1d(40), nn.ReLU(), nn.Linear(40, 3),
    )  # fmt: skip
    for part in net:
        if isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.uniform_(part.weight, -1.5, 1.5)
            nn.init.uniform_(part.bias, -1.0, 1.0)
    return net.eval()


def imported(name: str, tmp_path: Path) -> Imported:
    if name == "module":
        return import_model(deep(), example=torch.zeros(1, 2, 12, 12))
    if name == "float":
        return import_model(ROOT / "examples" / "digits" / "digits.onnx")
    return import_model(quantized_model(tmp_path / "model.onnx"))


@pytest.mark.parametrize("name", ["module", "float", "quantized"])
def test_every_element_is_found(name: str, tmp_path: Path) -> None:
    model = imported(name, tmp_path)
    origins, reals = find_origins(model), layer_reals(model.graph)
    assert len(origins) == len(reals[0]) > 0
    for place, layer in enumerate(origins):
        for origin, real in ((layer.weights, reals[0][place]), (layer.bias, reals[1][place])):
            if origin is None:
                assert origin is layer.bias and not layer.has_bias and not np.any(real)
                continue
            assert np.unique(origin.index).size == origin.index.size == origin.held.size
            held = origin.held.reshape(-1)[origin.index]
            found = origin.factor * held + origin.offset
            assert np.allclose(found, real, rtol=1e-6, atol=1e-7)
        assert layer.weights is not None and not layer.is_lifted
        # Nothing but a factor lies between weights and the file; a mistaken place would show here.
        assert np.abs(layer.weights.offset).max() < 1e-5


def test_a_format_that_nothing_goes_back_to_has_none(tmp_path: Path) -> None:
    (tmp_path / "small.tflite").write_bytes(small_model())
    assert find_origins(import_model(tmp_path / "small.tflite")) == ()


def test_a_channel_that_is_multiplied_by_nothing_cannot_be_told() -> None:
    net = deep()
    with torch.no_grad():
        assert isinstance(net[1], nn.BatchNorm2d)
        net[1].weight[3] = 0.0
    first, *_ = find_origins(import_model(net, example=torch.zeros(1, 2, 12, 12)))
    assert first.weights is None and first.bias is not None


class Standardised(nn.Module):
    """Weights that one layer reads as they are, and another divided by their deviation."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = self.first.weight
        again = nn.functional.linear(self.first(x).relu(), weights / weights.std())
        return self.head(again.relu())


def test_a_model_that_divides_by_its_weights_has_no_way_back() -> None:
    torch.manual_seed(0)
    assert find_origins(import_model(Standardised().eval(), example=torch.zeros(1, 8))) == ()
