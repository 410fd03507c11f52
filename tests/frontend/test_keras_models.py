"""What Keras' converters write: layers taken apart, lost constants, dead networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from tests.support import onnx_models
from tinytrain.errors import ModelError
from tinytrain.frontend import import_model, load_model
from tinytrain.frontend.proof import prove
from tinytrain.quantize.calibrate import quantize_float
from tinytrain.quantize.integerize import integerize
from tinytrain.quantize.ranges import LEAST, affine

_DENSE = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


def _dense(source: str, result: str) -> object:
    return helper.make_node("MatMul", [source, "w"], [result], name="dense")


def test_gelu_of_keras_is_written_with_erfc(tmp_path: Path) -> None:
    nodes = [
        _dense("x", "a"),
        helper.make_node("Mul", ["half", "a"], ["b"]),
        helper.make_node("Mul", ["a", "minus"], ["c"]),
        helper.make_node("Erfc", ["c"], ["d"], name="erfc"),
        helper.make_node("Mul", ["b", "d"], ["y"]),
    ]
    numbers = {"half": np.float32(0.5), "minus": np.float32(-(0.5**0.5))}
    constants = {"w": _DENSE, **{name: np.asarray(value) for name, value in numbers.items()}}
    path = onnx_models.save(tmp_path / "m.onnx", nodes, constants, inputs={"x": (1, 6)})
    assert prove(import_model(path)).reference is not None


def test_a_constant_that_the_exporter_lost(tmp_path: Path) -> None:
    lost, unused = "net/normalization/Sub/y:0", "net/normalization/Sqrt/x:0"
    nodes = [helper.make_node("Sub", ["x", lost], ["a"], name="sub"), _dense("a", "y")]
    inputs = {"x": (1, 6), lost: (1, 6), unused: (1, 6)}
    path = onnx_models.save(tmp_path / "m.onnx", nodes, {"w": _DENSE}, inputs=inputs)
    with pytest.raises(ModelError, match=f"the exporter lost the constant '{lost}'") as error:
        load_model(path)
    assert error.value.help is not None and "TFLite" in error.value.help


@pytest.mark.parametrize(
    ("layer", "named", "help"),
    [
        ("layer_normalization_1", "the layer normalisation 'layer_normalization_1'", "batch norm"),
        ("lstm_3", "the LSTM 'lstm_3'", "1-D convolutions"),
        ("multi_head_attention", "the attention 'multi_head_attention'", "global mean"),
        ("my_lstms", None, "docs/operations.md"),
    ],
)
def test_a_layer_that_was_taken_apart_is_named(
    tmp_path: Path, layer: str, named: str | None, help: str
) -> None:
    nodes = [
        _dense("x", "a"),
        helper.make_node("IsInf", ["a"], ["y"], name=f"net/{layer}/while/is_inf"),
    ]
    path = onnx_models.save(tmp_path / "m.onnx", nodes, {"w": _DENSE}, inputs={"x": (1, 6)})
    with pytest.raises(ModelError) as error:
        load_model(path)
    what = "operation 'IsInf' is not supported"
    assert error.value.what == (f"{what}, in {named}" if named else what)
    assert error.value.help is not None and help in error.value.help


def test_activations_too_small_to_compute_with_become_zero(tmp_path: Path) -> None:
    """A network with random weights, or with lost statistics, dies out layer by layer."""
    nodes = [
        _dense("x", "a"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "v"], ["y"]),
    ]
    constants = {"w": _DENSE * np.float32(1e-13), "v": _DENSE[:4, :3].copy()}
    path = onnx_models.save(tmp_path / "m.onnx", nodes, constants, inputs={"x": (1, 6)})
    samples = np.random.default_rng(1).normal(size=(8, 6)).astype(np.float32)
    graph = integerize(quantize_float(load_model(path), samples))
    (note,) = (note for note in graph.source.notes if "below" in note)
    assert note.startswith("2 activations, the first of them ")


def test_least_scale() -> None:
    assert affine((0.0, 1e-12)).scale == (LEAST,) and affine((0.0, 1e-12)).zero_point == -128
    assert affine((0.0, 1.0)).scale == (float(np.float32(1 / 255)),)
