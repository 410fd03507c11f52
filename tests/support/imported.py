"""Helpers for tests of imported models: files beside the repository, layouts, runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.paths import SHARED_MODELS
from tinytrain.ir.graph import Graph, Value
from tinytrain.ir.verify import verify
from tinytrain.passes.dense_to_conv import DenseToConv
from tinytrain.quantize import integerize
from tinytrain.reference.conversion import quantize
from tinytrain.reference.float_forward import run_float
from tinytrain.reference.interpret import run_forward

ONNX_MODELS = ("mcunet-5fps-int8.onnx", "mbv2-w0.35-int8.onnx")
TFLITE_MODELS = (
    "ad01_int8.tflite",
    "kws_ref_int8.tflite",
    "resnet8_int8.tflite",
    "vww_96_int8.tflite",
)


def shared_model(name: str) -> Path:
    """A model of ../shared; the test is skipped where it is missing."""
    path = SHARED_MODELS / name
    if not path.is_file():
        pytest.skip(f"../shared/models/{name} is missing")
    return path


def to_ours(x: np.ndarray, layout: str) -> np.ndarray:
    """A batch in the layout of the user's model as [N,H,W,C] or [N,I]."""
    if layout == "NCHW":
        return x.transpose(0, 2, 3, 1)
    if layout == "NCL":
        return x.transpose(0, 2, 1)[:, None]
    return x[:, None] if layout == "NLC" else x


def float_output(graph: Graph, x: np.ndarray) -> np.ndarray:
    """The output for a batch in the user's layout."""
    verify(graph, "import")
    ours = to_ours(x, graph.source.layout)
    return run_float(graph, {graph.inputs[0].name: ours})[graph.outputs[0]]


def integer_graph(graph: Graph) -> Graph:
    """The s8 graph with dense layers as convolutions, as the reference runs it."""
    result = integerize(graph)
    verify(result, "integerize")
    return DenseToConv()(result)


def run_integers(graph: Graph, x: np.ndarray) -> dict[Value, np.ndarray]:
    """All values for one sample [1, ...] in the user's layout; `graph` from `integer_graph`."""
    (given,) = graph.inputs
    meaning = given.type.quantization
    assert meaning is not None
    ours = to_ours(x, graph.source.layout)
    q = quantize(ours.astype(np.float32), meaning.zero_point, meaning.scale[0])
    return run_forward(graph, {given.name: q})


def integer_output(graph: Graph, x: np.ndarray) -> tuple[np.ndarray, float]:
    """Real outputs [N, ...] of the s8 graph, and the size of one step."""
    outputs = [run_integers(graph, sample[None])[graph.outputs[0]] for sample in x]
    meaning = graph.outputs[0].type.quantization
    assert meaning is not None
    q = np.concatenate(outputs).astype(np.float64)
    return (q - meaning.zero_point) * np.asarray(meaning.scale), float(max(meaning.scale))


def users_output(graph: Graph, x: np.ndarray) -> np.ndarray:
    """The float output for a batch of one in the user's layout, in the user's shape and layout."""
    ours, source = float_output(graph, x), graph.source
    if source.output_layout in ("NCHW", "NCL"):
        ours = ours.transpose(0, 3, 1, 2)
    return ours.reshape(source.output_shape)
