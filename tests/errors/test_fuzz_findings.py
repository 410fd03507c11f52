"""What `scripts/fuzz_importer.py` found, each as a small model, and a short run of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tflite
from onnx import TensorProto, helper, numpy_helper

from tests.support.fuzz_scripts import told_by
from tests.support.onnx_models import conv, conv_weights, quantized_model, save
from tests.support.tflite_writer import TfliteWriter
from tinytrain.errors import ModelError
from tinytrain.frontend import load_model
from tinytrain.frontend.builder import ProgramBuilder
from tinytrain.frontend.program import Call, Const
from tinytrain.quantize.ranges import Histogram, choose


@pytest.mark.parametrize("location", ["\x00", "a" * 5000, "", "."])
def test_external_data_under_no_possible_name(location: str, tmp_path: Path) -> None:
    held = TensorProto(name="w", data_type=1, dims=[4, 3, 3, 3], data_location=1)
    entry = held.external_data.add()
    entry.key, entry.value = "location", location
    path = save(tmp_path / "model.onnx", [conv()], {"w": held})
    with pytest.raises(ModelError, match=r"asks for data outside|external data"):
        load_model(path)


def test_external_data_that_is_a_pipe(tmp_path: Path) -> None:
    """Opening it would wait forever."""
    os.mkfifo(tmp_path / "w.bin")
    held = TensorProto(name="w", data_type=1, dims=[4, 3, 3, 3], data_location=1)
    entry = held.external_data.add()
    entry.key, entry.value = "location", "w.bin"
    path = save(tmp_path / "model.onnx", [conv()], {"w": held})
    with pytest.raises(ModelError, match=r"external data 'w.bin' cannot be read"):
        load_model(path)


def test_window_larger_than_its_map(tmp_path: Path) -> None:
    pool = helper.make_node("MaxPool", ["a"], ["y"], name="pool", kernel_shape=[99, 99])
    path = save(tmp_path / "model.onnx", [conv(result="a"), pool], {"w": conv_weights()})
    with pytest.raises(ModelError, match=r"so nothing is left of the map there|contradict"):
        load_model(path)


def test_zero_point_of_another_shape_than_its_scale(tmp_path: Path) -> None:
    path = quantized_model(tmp_path / "model.onnx")
    model = onnx.load(path)
    tensors = {"ws5": np.full(5, 0.02, np.float32), "z5": np.zeros((5, 6), np.int8)}
    model.graph.initializer.extend(numpy_helper.from_array(*pair[::-1]) for pair in tensors.items())
    node = next(node for node in model.graph.node if node.input[0] == "w1")
    node.input[1:] = tensors
    node.attribute.append(helper.make_attribute("axis", 0))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"contradict each other"):
        load_model(path)


@pytest.mark.parametrize("method", ["mse", "minmax", "percentile"])
@pytest.mark.parametrize("low", [0.0, 1.0, -3e4])
def test_activations_between_neighbouring_numbers(method: str, low: float) -> None:
    """A dead layer yields a few neighbouring floats, with no room for 2048 bins between them."""
    values = [np.float32(low)]
    for _ in range(3):
        values.append(np.nextafter(values[-1], np.float32(np.inf)))
    histogram = Histogram()
    histogram.widen(np.array(values))
    histogram.count(np.array(values))
    assert histogram.counts.sum() == len(values)
    assert choose(histogram, method).scale[0] > 0


def test_short_run() -> None:
    """The first cases of seed 0: none ends in anything but success or an error of ours."""
    told = told_by("fuzz_importer.py", 20)
    assert "refused: ModelError" in told and "training step" in told


def test_window_wider_than_numbers_in_tflite(tmp_path: Path) -> None:
    w = TfliteWriter()
    x = w.tensor("x", (1, 4, 4, 2))
    pool = w.operator(
        "MAX_POOL_2D", [x], (1, 2, 2, 2), "Pool2DOptions", Padding=tflite.Padding.SAME,
        StrideW=2, StrideH=2, FilterWidth=2**25, FilterHeight=0,
    )  # fmt: skip
    path = tmp_path / "model.tflite"
    path.write_bytes(w.finish(x, pool))
    with pytest.raises(ModelError, match=r"contradict each other|cannot read|more than any"):
        load_model(path)


def test_operation_on_a_constant() -> None:
    call = Call("dequantize", [Const(np.zeros(3, np.int8))], {}, (3,), "float32", "here")
    with pytest.raises(ModelError, match=r"'dequantize' works on a constant"):
        call.source()


@pytest.mark.parametrize("point", [128, -129, 3 * 2**32 + 83])
def test_zero_point_that_no_integer_of_its_tensor_holds(
    point: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TFLite has 64 bits for it, whatever the tensor is of; here the reader finds it in ONNX."""
    before = ProgramBuilder.quantize

    def quantize(self: ProgramBuilder, x: Any, scale: float, zero_point: int, dtype: str) -> Any:
        return before(self, x, scale, point, dtype)

    monkeypatch.setattr(ProgramBuilder, "quantize", quantize)
    path = quantized_model(tmp_path / "model.onnx")
    with pytest.raises(ModelError, match=rf"has the zero point {point}, which int8 does not hold"):
        load_model(path)
