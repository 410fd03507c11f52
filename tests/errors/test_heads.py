"""Heads that a loss cannot train are refused, and every way out that a message names is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tinytrain.compiler.compile import compile_model
from tinytrain.compiler.folder import Product
from tinytrain.errors import DataError, ModelError
from tinytrain.simulation.session import simulate


class Curve(torch.nn.Module):
    """A function of one number that PyTorch has no name for."""

    def __init__(self, curve: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.curve = curve

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.curve(x)


X = np.random.default_rng(2).normal(size=(40, 5)).astype(np.float32)


def compiled(folder: Path, outputs: int, end: torch.nn.Module | None, **options: Any) -> Product:
    torch.manual_seed(1)
    layers = [torch.nn.Linear(5, 6), torch.nn.ReLU(), torch.nn.Linear(6, outputs)]
    module = torch.nn.Sequential(*layers, *([] if end is None else [end])).eval()
    example = torch.zeros(1, 5)
    return compile_model(module, example, output=folder / "m", calibration=X, **options)


BINARY = "--loss binary_cross_entropy"
REFUSED = [
    (1, None, {}, "one output", [BINARY, "--classes 2"]),
    (
        1,
        torch.nn.Sigmoid(),
        {"loss": "cross_entropy"},
        "one output",
        [BINARY],
    ),
    (
        4,
        torch.nn.Sigmoid(),
        {"loss": "cross_entropy"},
        "'sigmoid'",
        [BINARY],
    ),
    (3, torch.nn.ReLU(), {}, "'relu'", ["--classes 3", "--loss mean_squared_error"]),
    (3, torch.nn.Tanh(), {}, "'tanh'", ["--classes 3", "--loss mean_squared_error"]),
    (
        3,
        Curve(lambda x: x.sigmoid() * 2 - 1),
        {},
        "'expression of sigmoid, linear'",
        ["--classes 3", "--loss mean_squared_error"],
    ),
    (2, torch.nn.Hardtanh(), {"loss": "binary_cross_entropy"}, "'clip'", ["--classes 2"]),
    (1, torch.nn.Tanh(), {"loss": "binary_cross_entropy"}, "'tanh'", ["--classes 2"]),
]


@pytest.mark.parametrize(("outputs", "end", "options", "named", "ways"), REFUSED)
def test_what_cannot_learn_is_refused_with_ways_out(
    tmp_path: Path,
    outputs: int,
    end: torch.nn.Module | None,
    options: dict[str, Any],
    named: str,
    ways: list[str],
) -> None:
    with pytest.raises(ModelError) as caught:
        compiled(tmp_path, outputs, end, **options)
    assert named in str(caught.value)
    for way in ways:
        assert way in (caught.value.help or "")
        name, value = way.removeprefix("--").split()
        given = {name: int(value) if value.isdigit() else value}
        without_loss = {key: held for key, held in options.items() if key != "loss"}
        assert compiled(tmp_path, outputs, end, **{**without_loss, **given}).directory.is_dir()


ENDS = [torch.nn.LeakyReLU(0.1), torch.nn.LogSoftmax(1), Curve(lambda x: x + x.sin())]


@pytest.mark.parametrize("end", ENDS)
def test_what_keeps_logits_apart_is_taken(tmp_path: Path, end: torch.nn.Module) -> None:
    assert compiled(tmp_path, 3, end).manifest.loss == "cross_entropy"


def session(product: Product, folder: Path, y: Any) -> None:
    np.savez(folder / "d.npz", x=X, y=y)
    simulate(product.directory, data=folder / "d.npz", steps=1)


def test_targets_beyond_the_range_of_a_function_are_refused(tmp_path: Path) -> None:
    product = compiled(tmp_path, 2, torch.nn.Tanh(), loss="mean_squared_error")
    assert product.manifest.output.range == pytest.approx((-1, 1), abs=0.01)
    y = np.ones((40, 2), np.float32)
    session(product, tmp_path, y)
    y[7, 1] = 1.5
    with pytest.raises(
        DataError, match=r"1\.5 of output 1 in sample 7 .*-0\.99.. to 0\.99.*'tanh'"
    ):
        session(product, tmp_path, y)


def test_a_bare_last_layer_reaches_any_target(tmp_path: Path) -> None:
    product = compiled(tmp_path, 2, None, loss="huber")
    assert product.manifest.output.range is None
    session(product, tmp_path, np.full((40, 2), 1e6, np.float32))


@pytest.mark.parametrize(
    ("y", "told"),
    [
        (np.full((40, 3), 1.2), "target 1.2 of label 0 in sample 0 is not from 0 to 1"),
        (np.zeros((40, 2)), "y has shape [40, 2], but a sample has 3 labels"),
        (np.full(40, 3), "label 3 of sample 0 is out of range: the model has labels 0 to 2"),
        (np.full((40, 3), "a"), "y has dtype <U1, but targets are numbers from 0 to 1"),
    ],
)
def test_targets_of_several_labels(tmp_path: Path, y: np.ndarray, told: str) -> None:
    product = compiled(tmp_path, 3, torch.nn.Sigmoid())
    session(product, tmp_path, np.zeros(40, np.int64))
    with pytest.raises(DataError) as caught:
        session(product, tmp_path, y)
    assert told in str(caught.value)
