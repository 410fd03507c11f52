"""A model takes one sample at a time: another batch, or none, is refused with the way out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import helper
from torch import nn

from tests.support.onnx_models import conv, conv_weights, save
from tests.support.tflite_models import VALID
from tests.support.tflite_writer import TfliteWriter
from tinytrain.errors import ModelError, TinytrainError, UsageError
from tinytrain.frontend import load_model


class Unbatched(nn.Module):
    """Takes C, H, W alone, and gives the numbers of one sample."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.dense = nn.Conv2d(3, 4, 3), nn.Linear(4 * 36, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(torch.relu(self.conv(x)).reshape(-1))  # type: ignore[no-any-return]


class Squeezed(nn.Module):
    """Leaves the batch out of the result where it is 1."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(6, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(x).squeeze()  # type: ignore[no-any-return]


def refused(source: object, example: object = None) -> TinytrainError:
    with pytest.raises((ModelError, UsageError)) as caught:
        load_model(source, example=example)
    return caught.value


@pytest.mark.parametrize("module", [Unbatched(), nn.Conv2d(3, 4, 3), nn.Conv1d(3, 4, 3)])
def test_a_module_without_a_batch(module: nn.Module) -> None:
    example = torch.zeros((3, 8, 8) if not isinstance(module, nn.Conv1d) else (3, 8))
    error = refused(module, example)
    assert error.what == f"the example input has shape {tuple(example.shape)}, without a batch"
    assert error.help == "add a batch of 1 in front: example[None]"


def test_a_module_with_a_batch_of_several() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 5))
    assert load_model(module, example=torch.zeros(4, 3, 8, 8)).inputs[0].type.shape == (1, 8, 8, 3)
    assert load_model(Squeezed(), example=torch.zeros(4, 6)).outputs[0].type.size == 1


def test_a_program_with_another_batch_or_none(tmp_path: Path) -> None:
    file = tmp_path / "m.pt2"
    for module, shape, said in (
        (nn.Conv2d(3, 4, 3), (4, 3, 8, 8), "has shape [4, 3, 8, 8], a batch of 4"),
        (nn.Conv2d(3, 4, 3), (3, 8, 8), "a tensor of shape [3, 8, 8], which has no batch"),
        (nn.Conv2d(1, 4, 3), (1, 8, 8), "a tensor of shape [1, 8, 8], which has no batch"),
    ):
        torch.export.save(torch.export.export(module, (torch.zeros(shape),)), str(file))
        error = str(refused(file))
        assert said in error and "a batch of 1" in error


def test_an_onnx_model_with_another_batch_or_none(tmp_path: Path) -> None:
    file = tmp_path / "m.onnx"
    weights = {"w": conv_weights()}
    error = refused(save(file, [conv()], weights, inputs={"x": (4, 3, 6, 6)}))
    assert error.what.startswith("the input 'x' has shape [4, 3, 6, 6], a batch of 4;")
    assert error.help == "export the model with a batch of 1"
    # As an exporter writes a module that was called with C, H, W.
    nodes = [
        helper.make_node("Unsqueeze", ["x", "axes"], ["a"]),
        conv("a", "b"),
        helper.make_node("Squeeze", ["b", "axes"], ["y"]),
    ]
    weights["axes"] = np.array([0])
    error = refused(save(file, nodes, weights, inputs={"x": (3, 6, 6)}))
    assert error.what.startswith("the input 'x' has shape [3, 6, 6], a batch of 3;")
    assert "where 3 is no batch, give the example one in front: example[None]" in str(error.help)
    one = {"w": conv_weights()[:, :1], "axes": np.array([0])}
    error = refused(save(file, nodes, one, inputs={"x": (1, 6, 6)}))
    assert error.what.startswith("the output has shape [4, 4, 4], a batch of 4;")


@pytest.mark.parametrize(("shape", "batch"), [((4, 6, 6, 3), 4), ((6, 6, 3), 6)])
def test_a_tflite_model_with_another_batch_or_none(
    shape: tuple[int, ...], batch: int, tmp_path: Path
) -> None:
    w = TfliteWriter()
    x = w.tensor("x", shape)
    held = [x, w.constant("w", np.ones((4, 3, 3, 3), np.float32)),
            w.constant("b", np.zeros(4, np.float32))]  # fmt: skip
    result = (*shape[:-3], 4, 4, 4)
    y = w.operator("CONV_2D", held, result, "Conv2DOptions", Padding=VALID, StrideW=1, StrideH=1,
                   DilationWFactor=1, DilationHFactor=1)  # fmt: skip
    (tmp_path / "m.tflite").write_bytes(w.finish(x, y))
    error = str(refused(tmp_path / "m.tflite"))
    assert f"the input 'x' has shape {list(shape)}, a batch of {batch}" in error
    assert "a batch of 1" in error
