"""A float TFLite model computes what its interpreter computes, and can be calibrated."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.support.imported import float_output, integer_graph, integer_output
from tests.support.tflite_models import small_model
from tinytrain.frontend import load_model
from tinytrain.quantize import quantize_float


def test_float_tflite(tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    path = tmp_path / "small.tflite"
    path.write_bytes(small_model())
    x = np.random.default_rng(1).normal(size=(6, 9, 8, 3)).astype(np.float32)
    runner = Interpreter(str(path))
    runner.allocate_tensors()
    outputs = []
    for sample in x:
        runner.set_tensor(runner.get_input_details()[0]["index"], sample[None])
        runner.invoke()
        outputs.append(runner.get_tensor(runner.get_output_details()[0]["index"]).copy())
    wanted = np.concatenate(outputs)
    graph = load_model(path)
    assert graph.source.layout == "NHWC"
    np.testing.assert_allclose(float_output(graph, x), wanted, rtol=1e-5, atol=1e-5)
    result, step = integer_output(integer_graph(quantize_float(graph, x)), x)
    assert np.abs(result.reshape(wanted.shape) - wanted).max() <= 6 * step
