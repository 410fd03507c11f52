"""The tensor that is compiled: an output of the model, or one inside of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import helper

from tests.support.imported import users_output
from tests.support.onnx_models import conv, conv_weights, save
from tests.support.tflite_models import small_model
from tinytrain.errors import UsageError
from tinytrain.frontend import load_model
from tinytrain.frontend.tflite.check import checked
from tinytrain.frontend.tflite.model import parse


def test_a_tensor_inside_of_a_tflite_model(tmp_path: Path) -> None:
    path = tmp_path / "small.tflite"
    path.write_bytes(small_model())
    model = parse(checked(path.read_bytes(), path.name))
    first = model.tensors[model.operators[0].outputs[0]]
    graph = load_model(path, model_output=first.name)
    assert graph.source.output_shape == first.shape
    with pytest.raises(UsageError, match="has no output 'elsewhere'"):
        load_model(path, model_output="elsewhere")


def test_a_tensor_inside_of_an_onnx_model(tmp_path: Path) -> None:
    nodes = [conv(result="a"), helper.make_node("Det", ["a"], ["y"])]
    path = save(tmp_path / "m.onnx", nodes, {"w": conv_weights()})
    assert load_model(path, model_output="a").source.output_shape == (1, 4, 4, 4)


def test_a_call_inside_of_a_program(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2)).eval()
    x = torch.ones(1, 4)
    path = tmp_path / "m.pt2"
    torch.export.save(torch.export.export(net, (x,)), path)
    graph = load_model(path, model_output="relu")
    with torch.no_grad():
        wanted = net[:2](x).numpy()
    np.testing.assert_allclose(users_output(graph, x.numpy()), wanted, atol=1e-6)
