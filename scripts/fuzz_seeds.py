"""Sound models that `fuzz_importer.py` damages: the examples', small ones built here, TFLite."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.support.tflite_models import small_model as small_tflite  # noqa: E402

SHARED = ROOT.parent / "shared" / "models"
_SHARED_MODELS = ("kws_ref_int8.tflite", "ad01_int8.tflite", "resnet8_int8.tflite")


@dataclass(frozen=True)
class Seed:
    """A sound model.

    Attributes:
        name: for the report.
        suffix: of its kind, `.onnx`, `.tflite` or `.pt2`.
        data: the file.
    """

    name: str
    suffix: str
    data: bytes


def load_seeds() -> list[Seed]:
    """All seeds, in the same order everywhere; those of ../shared only where it is there."""
    files = sorted((ROOT / "examples").glob("*/*.onnx"))
    files += [path for name in _SHARED_MODELS if (path := SHARED / name).is_file()]
    seeds = [Seed(path.stem, path.suffix, path.read_bytes()) for path in files]
    seeds += [
        Seed("float_net", ".onnx", _float_net().SerializeToString()),
        Seed("quantized_net", ".onnx", _quantized_net().SerializeToString()),
        Seed("signal_net", ".onnx", _signal_net().SerializeToString()),
        Seed("float_net", ".tflite", small_tflite()),
    ]
    return [*seeds, *_torch_seeds()]


def _torch_seeds() -> list[Seed]:
    """A program of PyTorch, where that is installed."""
    try:
        import torch
    except ImportError:
        return []
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(4, 3),
    )  # fmt: skip
    held = io.BytesIO()
    torch.export.save(torch.export.export(net.eval(), (torch.zeros(1, 3, 6, 6),)), held)
    return [Seed("torch_net", ".pt2", held.getvalue())]


class _Builder:
    """Collects nodes and initializers with seeded random weights."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(1)

    def weights(self, name: str, *shape: int) -> str:
        return self.constant(name, self._random.normal(0, 0.3, shape).astype(np.float32))

    def constant(self, name: str, data: np.ndarray) -> str:
        self.tensors.append(numpy_helper.from_array(np.asarray(data), name))
        return name

    def add(self, op: str, *inputs: str, **attributes: object) -> str:
        output = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=output, **attributes))
        return output

    def quantized(self, source: str, scale: float, zero: int) -> str:
        """QuantizeLinear and DequantizeLinear, u8."""
        number = len(self.nodes)
        pair = (
            self.constant(f"scale_{number}", np.float32(scale)),
            self.constant(f"zero_{number}", np.uint8(zero)),
        )
        return self.add("DequantizeLinear", self.add("QuantizeLinear", source, *pair), *pair)

    def quantized_weights(self, name: str, *shape: int) -> str:
        """s8 weights with a scale for each output channel, dequantized."""
        data = self._random.integers(-127, 128, shape).astype(np.int8)
        return self.add(
            "DequantizeLinear",
            self.constant(name, data),
            self.constant(f"{name}_scale", np.full(shape[0], 0.01, np.float32)),
            self.constant(f"{name}_zero", np.zeros(shape[0], np.int8)),
            axis=0,
        )

    def model(self, shape: tuple[int | str, ...], output: str, size: int) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "seed",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, (1, size))],
            self.tensors,
        )
        opsets = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _float_net() -> onnx.ModelProto:
    b = _Builder()
    stem = b.add("Conv", "x", b.weights("w0", 8, 3, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2])
    statistics = [b.constant(name, np.linspace(0.5, 1.5, 8, dtype=np.float32)) for name in "gbmv"]
    x = b.add("HardSwish", b.add("BatchNormalization", stem, *statistics))
    deep = b.add("Conv", x, b.weights("w1", 8, 1, 3, 3), pads=[1, 1, 1, 1], group=8)
    low, high = b.constant("low", np.float32(0)), b.constant("high", np.float32(6))
    deep = b.add("Clip", deep, low, high)
    gate = b.add("GlobalAveragePool", deep)
    gate = b.add("HardSigmoid", b.add("Conv", gate, b.weights("w2", 8, 8, 1, 1)))
    x = b.add("Add", x, b.add("Mul", deep, gate))
    halves = [
        b.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]),
        b.add("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    ]
    x = b.add("Relu", b.add("Concat", *halves, axis=1))
    batch = b.add("Shape", x)
    batch = b.add("Gather", batch, b.constant("first", np.int64(0)), axis=0)
    batch = b.add("Unsqueeze", batch, b.constant("axes", np.array([0])))
    shape = b.add("Concat", batch, b.constant("rest", np.array([-1])), axis=0)
    x = b.add("Reshape", x, shape)
    x = b.add("Gemm", x, b.weights("w3", 5, 64), b.weights("b3", 5), transB=1)
    return b.model(("N", 3, 8, 8), b.add("Softmax", x), 5)


def _quantized_net() -> onnx.ModelProto:
    b = _Builder()
    x = b.quantized("x", 0.02, 128)
    x = b.add("Conv", x, b.quantized_weights("w0", 8, 3, 3, 3), pads=[1, 1, 1, 1])
    x = b.quantized(b.add("Relu", x), 0.03, 0)
    deep = b.add("Conv", x, b.quantized_weights("w1", 8, 1, 3, 3), pads=[1, 1, 1, 1], group=8)
    deep = b.quantized(deep, 0.05, 120)
    x = b.quantized(b.add("Add", x, deep), 0.06, 100)
    x = b.quantized(b.add("GlobalAveragePool", x), 0.06, 100)
    x = b.add("Flatten", x)
    x = b.add("Gemm", x, b.quantized_weights("w2", 4, 8), transB=1)
    return b.model((1, 3, 6, 6), b.quantized(x, 0.1, 128), 4)


def _signal_net() -> onnx.ModelProto:
    b = _Builder()
    x = b.add("Conv", "x", b.weights("w0", 6, 4, 5), pads=[2, 2], strides=[2])
    x = b.add("MaxPool", b.add("LeakyRelu", x, alpha=0.1), kernel_shape=[2], strides=[2])
    x = b.add("Conv", x, b.weights("w1", 6, 3, 3), pads=[2, 2], dilations=[2], group=2)
    x = b.add("ReduceMean", b.add("Tanh", x), axes=[2], keepdims=0)
    return b.model((1, 4, 32), b.add("MatMul", x, b.weights("w2", 6, 3)), 3)
