"""The quantized models beside the repository, against the interpreters they were made for."""

from __future__ import annotations

import cProfile
import pstats
from pathlib import Path

import numpy as np
import pytest

from tests.support.imported import (
    ONNX_MODELS,
    TFLITE_MODELS,
    float_output,
    integer_graph,
    run_integers,
    shared_model,
    to_ours,
)
from tinytrain.frontend import load_model
from tinytrain.quantize import integerize
from tinytrain.reference.float_forward import run_float
from tinytrain.reference.interpret import run_forward


def onnx_session(path: Path, names: list[str]):
    """A session without optimisations that also returns the values `names`."""
    import onnx
    import onnxruntime

    model = onnx.load(path)
    have = {value.name for value in model.graph.output}
    for name in names:
        if name not in have:
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


@pytest.mark.parametrize("name", ONNX_MODELS)
def test_each_layer_agrees_with_onnxruntime_to_one_unit(name: str) -> None:
    """Every s8 layer, fed with the integers that onnxruntime computed before it."""
    import onnx

    path = shared_model(name)
    quantized = [
        node.output[0] for node in onnx.load(path).graph.node if node.op_type == "QuantizeLinear"
    ]
    session = onnx_session(path, quantized)
    graph = integer_graph(load_model(path))
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, graph.source.shape).astype(np.float32)
    results = session.run(quantized, {session.get_inputs()[0].name: x})
    # Both list their integers in execution order, input first; reshapes have none of their own.
    theirs = [to_ours(r, "NCHW" if r.ndim == 4 else "NC") for r in results]
    layers = [node for node in graph.nodes if node.op != "reshape"]
    known = {graph.inputs[0]: theirs[0], **graph.constants}
    assert len(layers) == len(theirs) - 1
    off, total = 0, 0
    for node in graph.nodes:
        inner = run_one(graph, node, known)
        if node.op == "reshape":
            known[node.output] = inner
            continue
        wanted = theirs[1 + layers.index(node)].reshape(inner.shape)
        error = np.abs(inner.astype(int) - wanted.astype(int))
        assert error.max() <= 1, f"{node.name}: {error.max()} units"
        off, total = off + int(np.count_nonzero(error)), total + error.size
        known[node.output] = wanted
    assert off / total < 0.01


def run_one(graph, node, known):
    """One node of the exact reference."""
    from dataclasses import replace

    values = {value: known[value] for value in node.inputs}
    constants = {v: d for v, d in graph.constants.items() if v in values}
    given = tuple(v for v in values if v not in constants)
    single = replace(graph, inputs=given, nodes=(node,), outputs=node.outputs, constants=constants)
    return run_forward(single, {v.name: values[v] for v in given})[node.output]


@pytest.mark.parametrize("name", ONNX_MODELS)
def test_float_run_follows_onnxruntime(name: str) -> None:
    path = shared_model(name)
    graph = load_model(path)
    session = onnx_session(path, [])
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, graph.source.shape).astype(np.float32)
    wanted = session.run(None, {session.get_inputs()[0].name: x})[0]
    step = integerize(graph).outputs[0].type.quantization.scale[0]
    # Sums in another order flip a rounding here and there, which fifty layers carry on.
    error = np.abs(float_output(graph, x) - wanted) / step
    assert np.median(error) <= 1 and error.max() <= 6


def interpreter(path: Path):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    result = Interpreter(
        str(path),
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    result.allocate_tensors()
    return result


def tflite_tensors(runner, x: np.ndarray) -> list[np.ndarray]:
    """All s8 activations of a run on the integers x."""
    runner.set_tensor(runner.get_input_details()[0]["index"], x)
    runner.invoke()
    return [
        runner.get_tensor(detail["index"])
        for detail in runner.get_tensor_details()
        if detail["dtype"] == np.int8 and detail["shape"].size in (2, 4)
    ]


@pytest.mark.parametrize("name", TFLITE_MODELS)
def test_each_layer_agrees_with_tflite_reference_kernels(name: str) -> None:
    """Every layer, fed with the interpreter's integers.

    TFLite rounds the sums of a dense layer once, as we do, and those of convolutions twice: they
    differ by one unit where its first rounding makes a tie. Softmax is left out, as we drop it.
    """
    path = shared_model(name)
    runner = interpreter(path)
    graph = integer_graph(load_model(path))
    rng = np.random.default_rng(2)
    q = rng.integers(-128, 128, graph.inputs[0].type.shape).astype(np.int8)
    theirs = tflite_tensors(runner, q)
    known = {graph.inputs[0]: q, **graph.constants}
    compared = 0
    for node in graph.nodes:
        ours = run_one(graph, node, known)
        same_size = [tensor.reshape(ours.shape) for tensor in theirs if tensor.size == ours.size]
        errors = [np.abs(tensor.astype(int) - ours.astype(int)) for tensor in same_size]
        best = int(np.argmin([error.mean() for error in errors]))
        known[node.output] = same_size[best]
        exact = node.op not in ("conv2d", "add") or node.name.startswith("dense")
        assert errors[best].max() <= (0 if exact else 1), node.name
        # A dead channel puts the same tie everywhere.
        assert np.count_nonzero(errors[best]) <= max(1, ours.size // 20), node.name
        compared += 1
    assert compared == len(graph.nodes) > 5


@pytest.mark.parametrize("name", TFLITE_MODELS)
def test_float_run_follows_tflite(name: str) -> None:
    path = shared_model(name)
    runner = interpreter(path)
    graph = load_model(path)
    meaning = integerize(graph).inputs[0].type.quantization
    rng = np.random.default_rng(4)
    q = rng.integers(-128, 128, graph.source.shape).astype(np.int8)
    x = (q.astype(np.float32) - meaning.zero_point) * np.float32(meaning.scale[0])
    tflite_tensors(runner, q)
    output = runner.get_output_details()[0]
    scale, zero = output["quantization"]
    wanted = (runner.get_tensor(output["index"]).astype(np.float32) - zero) * np.float32(scale)
    known = run_float(graph, {graph.inputs[0].name: x})[graph.outputs[0]]
    # Rounding flips here and there, as in the test against onnxruntime.
    assert np.abs(known - wanted).max() <= max(0.15, 2 * scale)


def layer_names(name: str) -> list[str]:
    return [node.name for node in integerize(load_model(shared_model(name))).nodes]


def test_layers_of_mcunet_are_numbered_as_published() -> None:
    names = layer_names("mcunet-5fps-int8.onnx")
    assert [name for name in names if name.startswith("conv_")] == [f"conv_{k}" for k in range(42)]
    assert names[-3:] == ["avg_pool_0", "reshape_0", "dense_0"]


@pytest.mark.parametrize("name", ONNX_MODELS + TFLITE_MODELS)
def test_same_file_same_graph(name: str) -> None:
    from tinytrain.ir.text import format_graph

    path = shared_model(name)
    first, second = (integerize(load_model(path)) for _ in range(2))
    assert format_graph(first) == format_graph(second)
    for one, other in zip(first.constants.items(), second.constants.items(), strict=True):
        assert one[0] == other[0] and one[1].tobytes() == other[1].tobytes()


def test_integers_pass_through_unchanged() -> None:
    """s8 weights and s32 biases of the file are those of the graph."""
    import onnx

    path = shared_model("mcunet-5fps-int8.onnx")
    held = {
        onnx.numpy_helper.to_array(tensor).transpose(0, 2, 3, 1).tobytes()
        for tensor in onnx.load(path).graph.initializer
        if len(tensor.dims) == 4
    }
    graph = integerize(load_model(path))
    weights = [data for value, data in graph.constants.items() if value.name.startswith("conv_")]
    kernels = [data for data in weights if data.ndim == 4]
    assert len(kernels) == 42
    # Some dead channels of this file have biases of 2**31 - 1, which any product would overflow.
    changed = [kernel for kernel in kernels if kernel.tobytes() not in held]
    assert len(changed) == 9
    (note,) = graph.source.notes
    assert "in 12 layers" in note and "nothing overflows" in note


@pytest.mark.parametrize("name", ONNX_MODELS + TFLITE_MODELS)
def test_no_accumulator_can_overflow(name: str) -> None:
    """Whatever weights training makes: |bias| <= 2**30, and with all products below 2**31."""
    graph = integerize(load_model(shared_model(name)))
    for node in graph.nodes:
        if node.op in ("conv2d", "dense"):
            weights, bias = (graph.constants[value] for value in node.inputs[1:])
            products = weights.size // weights.shape[0]
            largest = int(np.abs(bias.astype(np.int64)).max())
            assert largest + products * 255 * 128 < 2**31, node.name


def test_where_names_the_users_node() -> None:
    graph = integerize(load_model(shared_model("mcunet-5fps-int8.onnx")))
    (node,) = [node for node in graph.nodes if node.name == "conv_41"]
    assert str(node.where) == "mcunet-5fps-int8.onnx, node 'block13_project'"


def test_import_does_little() -> None:
    """Held in calls of functions, which are the same on every machine: 233,000, a fifth of a second
    on one of today's. The first use, which loads packages, is not counted."""
    path = shared_model("mcunet-5fps-int8.onnx")
    load_model(path)
    with cProfile.Profile() as profile:
        integerize(load_model(path))
    assert pstats.Stats(profile).total_calls < 350_000


def test_run_integers_takes_real_inputs() -> None:
    graph = integer_graph(load_model(shared_model("mcunet-5fps-int8.onnx")))
    x = np.zeros(graph.source.shape, np.float32)
    assert run_integers(graph, x)[graph.outputs[0]].shape == (1, 1000)
