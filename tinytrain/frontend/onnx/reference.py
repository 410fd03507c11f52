"""Runs an ONNX model: with onnxruntime where it is installed, else by ONNX's own evaluator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinytrain.frontend.imported import Missing, Reference
from tinytrain.frontend.importing import quiet

_MOST = 2**30
"""Multiplications of one sample that ONNX's evaluator, written in NumPy, does in seconds."""


def reference(data: bytes) -> Reference | Missing:
    """What runs the model as its file has it, before anything was changed."""
    evaluator = Reference("onnx's reference evaluator", _Evaluated(data).run, _MOST)
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        return evaluator
    return Reference("onnxruntime", _Session(data).run, otherwise=evaluator)


class _Observed:
    """A model with tensors inside of it as outputs, too."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.names: tuple[str, ...] = ()

    def model(self, tensors: Sequence[str]) -> Any:
        import onnx

        model = _without_erfc(onnx.load_model_from_string(self.data))
        made = {name for node in model.graph.node for name in node.output}
        self.names = tuple(name for name in tensors if name in made)
        del model.graph.output[:]
        model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(n) for n in self.names)
        return model

    def feeds(self, inputs: Sequence[np.ndarray], model: Any) -> dict[str, np.ndarray]:
        import onnx

        held = {tensor.name for tensor in model.graph.initializer}
        given = [value for value in model.graph.input if value.name not in held]
        feeds = {}
        for value, x in zip(given, inputs, strict=True):
            dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
            feeds[value.name] = x.astype(dtype)
        return feeds


def _without_erfc(model: Any) -> Any:
    """The model with 1 - Erf(x) for Erfc(x), which tf2onnx writes but ONNX does not have."""
    import onnx

    nodes = []
    for node in model.graph.node:
        if node.op_type != "Erfc":
            nodes.append(node)
            continue
        (result,) = node.output
        one = onnx.helper.make_tensor("value", onnx.TensorProto.FLOAT, [1], [1.0])
        make = onnx.helper.make_node
        nodes += [
            make("Erf", node.input, [f"{result}_erf"]),
            make("Constant", [], [f"{result}_one"], value=one),
            make("Sub", [f"{result}_one", f"{result}_erf"], [result]),
        ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


class _Session(_Observed):
    session: Any = None
    prepared: Any = None

    def run(self, inputs: Sequence[np.ndarray], tensors: Sequence[str]) -> Mapping[str, np.ndarray]:
        import onnxruntime

        if self.session is None:
            options = onnxruntime.SessionOptions()
            # Its fused s8 kernels saturate on processors without VNNI.
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            options.log_severity_level = 4
            options.intra_op_num_threads = 1
            self.prepared = self.model(tensors)
            self.session = onnxruntime.InferenceSession(
                self.prepared.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        with quiet():
            results = self.session.run(list(self.names), self.feeds(inputs, self.prepared))
        return dict(zip(self.names, map(np.asarray, results), strict=True))


class _Evaluated(_Observed):
    def run(self, inputs: Sequence[np.ndarray], tensors: Sequence[str]) -> Mapping[str, np.ndarray]:
        from onnx.reference import ReferenceEvaluator

        model = _of_a_version_that_it_knows(self.model(tensors))
        with quiet():
            results = ReferenceEvaluator(model).run(None, self.feeds(inputs, model))
        return dict(zip(self.names, map(np.asarray, results), strict=True))


_QUANTIZING = frozenset({"QuantizeLinear", "DequantizeLinear"})
_SINCE = 19
"""The version of ONNX's operations from which on its evaluator knows these."""


def _of_a_version_that_it_knows(model: Any) -> Any:
    """The model with its own operations, or where the evaluator lacks them, with newer ones."""
    import onnx

    version = max(s.version for s in model.opset_import if s.domain in ("", "ai.onnx"))
    if version >= _SINCE or not any(n.op_type in _QUANTIZING for n in model.graph.node):
        return model
    with quiet():
        return onnx.version_converter.convert_version(model, _SINCE)
