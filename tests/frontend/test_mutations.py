"""Mistakes planted in the readers: the proof of the import names the node of every one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import helper
from torch import nn

from tests.support.onnx_models import save
from tests.support.tflite_writer import TfliteWriter
from tinytrain.errors import ModelError
from tinytrain.frontend import import_model
from tinytrain.frontend.builder import ProgramBuilder
from tinytrain.frontend.onnx.operands import OnnxOperands
from tinytrain.frontend.proof import prove
from tinytrain.frontend.pytorch.operands import AtenOperands
from tinytrain.frontend.tflite.operands import TfliteOperands

Plant = Callable[[pytest.MonkeyPatch], None]


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


# --- models ---------------------------------------------------------------------------------------


def onnx_model(folder: Path) -> Any:
    """A convolution, functions, a move and a pool: one node for each mistake."""
    nodes = [
        helper.make_node(
            "Conv", ["x", "w"], ["a"], "conv", strides=[2, 1], pads=[1, 0, 1, 2], dilations=[1, 2]
        ),
        helper.make_node("LeakyRelu", ["a"], ["b"], "leaky", alpha=0.3),
        helper.make_node(
            "AveragePool", ["b"], ["c"], "pool", kernel_shape=[2, 2], pads=[1, 1, 0, 0],
            count_include_pad=1,
        ),
        helper.make_node("Transpose", ["c"], ["d"], "turn", perm=[0, 1, 3, 2]),
        helper.make_node("Sub", ["one", "d"], ["y"], "minus"),
    ]  # fmt: skip
    constants = {"w": _random(4, 3, 3, 3), "one": np.ones((), np.float32)}
    return save(folder / "m.onnx", nodes, constants, inputs={"x": (1, 3, 7, 8)})


def onnx_product(folder: Path) -> Any:
    """A Gemm with all its attributes."""
    node = helper.make_node(
        "Gemm", ["x", "v", "u"], ["y"], "product", alpha=0.5, beta=2.0, transB=1
    )
    return save(
        folder / "p.onnx", [node], {"v": _random(9, 9), "u": _random(9)}, inputs={"x": (1, 9)}
    )


def quantized_onnx_model(folder: Path) -> Any:
    """u8 activations and s8 weights, with zero points that are not zero."""
    constants = {
        "s": np.float32(0.03), "z": np.uint8(97), "ws": np.float32(0.02), "wz": np.int8(5),
        "w": np.random.default_rng(1).integers(-100, 100, (4, 3, 3, 3)).astype(np.int8),
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"], "quantize"),
        helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xr"], "dequantize"),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wr"], "weights"),
        helper.make_node("Conv", ["xr", "wr"], ["y"], "conv"),
    ]
    return save(folder / "q.onnx", nodes, constants, inputs={"x": (1, 3, 6, 6)})


def tflite_model(folder: Path) -> Any:
    """Depthwise convolution with a fused activation, concatenation along the height, a pool."""
    w = TfliteWriter()
    x = w.tensor("x", (1, 8, 6, 2))
    depthwise = w.operator(
        "DEPTHWISE_CONV_2D", [x, w.constant("w", _random(1, 3, 3, 4)), w.constant("b", _random(4))],
        (1, 6, 2, 4), "DepthwiseConv2DOptions", Padding=1, StrideW=1, StrideH=1, DepthMultiplier=2,
        DilationWFactor=2, DilationHFactor=1, FusedActivationFunction=3,
    )  # fmt: skip
    joined = w.operator(
        "CONCATENATION", [depthwise, depthwise], (1, 12, 2, 4), "ConcatenationOptions", Axis=1
    )
    pooled = w.operator(
        "MAX_POOL_2D", [joined], (1, 6, 2, 4), "Pool2DOptions",
        Padding=0, StrideW=1, StrideH=2, FilterWidth=2, FilterHeight=3,
    )  # fmt: skip
    path = folder / "m.tflite"
    path.write_bytes(w.finish(x, pooled))
    return path


def tflite_dense(folder: Path) -> Any:
    """A dense layer with a fused relu."""
    w = TfliteWriter()
    x = w.tensor("x", (1, 9))
    dense = w.operator(
        "FULLY_CONNECTED", [x, w.constant("v", _random(9, 9)), w.constant("u", _random(9))],
        (1, 9), "FullyConnectedOptions", FusedActivationFunction=1,
    )  # fmt: skip
    path = folder / "d.tflite"
    path.write_bytes(w.finish(x, dense))
    return path


class Net(nn.Module):
    """The same kinds of arguments as PyTorch spells them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, padding=(1, 2))
        self.norm = nn.BatchNorm2d(4, eps=0.1)
        self.norm.running_var.fill_(0.2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of a map [1,3,6,5]."""
        y = nn.functional.hardtanh(self.norm(self.conv(x)), -0.5, 0.75)
        y = torch.add(y, 1.5, alpha=3)
        y = nn.functional.avg_pool2d(y, 2, divisor_override=3)
        return y.mean(dim=3)


def torch_model(folder: Path) -> Any:
    """A module."""
    return Net().eval()


# --- mistakes -------------------------------------------------------------------------------------


def ignored(operands: type, name: str, kinds: tuple[str, ...], instead: Any) -> Plant:
    """An argument of some operations that reads as its default."""
    method = "option" if operands is TfliteOperands else "get"

    def plant(patch: pytest.MonkeyPatch) -> None:
        before = getattr(operands, method)

        def get(self: Any, wanted: str, *default: Any) -> Any:
            kind = self.operator.kind if operands is TfliteOperands else self.kind
            held = before(self, wanted, *default)
            return instead if wanted == name and kind in kinds else held

        patch.setattr(operands, method, get)

    return plant


def changed(op: str, change: Callable[[list[Any], dict[str, Any]], None]) -> Plant:
    """Calls of one word that are written otherwise than they were read."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        before = ProgramBuilder.emit

        def emit(self: ProgramBuilder, wanted: str, args: Any, **attrs: Any) -> Any:
            held = list(args)
            if wanted == op:
                change(held, attrs)
            return before(self, wanted, held, **attrs)

        patch.setattr(ProgramBuilder, "emit", emit)

    return plant


def _swapped_arguments(args: list[Any], attrs: dict[str, Any]) -> None:
    args.reverse()


def _transposed_weights(args: list[Any], attrs: dict[str, Any]) -> None:
    args[1] = dataclasses.replace(args[1], data=np.ascontiguousarray(args[1].data.T))


def _no_bias(args: list[Any], attrs: dict[str, Any]) -> None:
    args[2] = dataclasses.replace(args[2], data=np.zeros_like(args[2].data))


def _other_axis(args: list[Any], attrs: dict[str, Any]) -> None:
    attrs["axes"] = (2,)


def _counted_padding(args: list[Any], attrs: dict[str, Any]) -> None:
    attrs["count_include_pad"] = not attrs["count_include_pad"]


def _wrong_zero_point(patch: pytest.MonkeyPatch) -> None:
    before = ProgramBuilder.dequantize

    def dequantize(self: Any, x: Any, scale: Any, zero_point: Any, axis: int = 0) -> Any:
        return before(self, x, scale, np.asarray(zero_point) * 0, axis)

    patch.setattr(ProgramBuilder, "dequantize", dequantize)


MISTAKES: dict[str, tuple[Callable[[Path], Any], Plant, str]] = {
    "onnx: strides": (onnx_model, ignored(OnnxOperands, "strides", ("Conv",), [1, 2]), "conv"),
    "onnx: dilations": (onnx_model, ignored(OnnxOperands, "dilations", ("Conv",), [2, 1]), "conv"),
    "onnx: pads": (onnx_model, ignored(OnnxOperands, "pads", ("Conv",), [1, 2, 1, 0]), "conv"),
    "onnx: slope": (onnx_model, ignored(OnnxOperands, "alpha", ("LeakyRelu",), 0.01), "leaky"),
    "onnx: order of a difference": (onnx_model, changed("subtract", _swapped_arguments), "minus"),
    "onnx: counted padding": (onnx_model, changed("pool", _counted_padding), "pool"),
    "onnx: alpha": (onnx_product, ignored(OnnxOperands, "alpha", ("Gemm",), 1.0), "product"),
    "onnx: beta": (onnx_product, ignored(OnnxOperands, "beta", ("Gemm",), 1.0), "product"),
    "onnx: transposed weights": (
        onnx_product, ignored(OnnxOperands, "transB", ("Gemm",), 0), "product",
    ),
    "onnx: perm": (onnx_model, ignored(OnnxOperands, "perm", ("Transpose",), [0, 1, 2, 3]), "turn"),
    "onnx: zero point": (quantized_onnx_model, _wrong_zero_point, "conv"),
    "tflite: dilation": (
        tflite_model, ignored(TfliteOperands, "DilationWFactor", ("DEPTHWISE_CONV_2D",), 1),
        "depthwise_conv_2d",
    ),
    "tflite: fused activation": (
        tflite_model,
        ignored(TfliteOperands, "FusedActivationFunction", ("DEPTHWISE_CONV_2D",), 1),
        "depthwise_conv_2d",
    ),
    "tflite: padding": (
        tflite_model, ignored(TfliteOperands, "Padding", ("MAX_POOL_2D",), 1), "max_pool_2d",
    ),
    "tflite: swapped strides": (
        tflite_model, ignored(TfliteOperands, "StrideH", ("MAX_POOL_2D",), 1), "max_pool_2d",
    ),
    "tflite: transposed weights": (
        tflite_dense, changed("dense", _transposed_weights), "fully_connected",
    ),
    "tflite: no bias": (tflite_dense, changed("dense", _no_bias), "fully_connected"),
    "pytorch: alpha": (torch_model, ignored(AtenOperands, "alpha", ("add",), 1), "add"),
    "pytorch: eps": (
        torch_model, ignored(AtenOperands, "eps", ("batch_norm",), 1e-5), "norm",
    ),
    "pytorch: divisor": (
        torch_model, ignored(AtenOperands, "divisor_override", ("avg_pool2d",), None), "avg_pool2d",
    ),
    "pytorch: bound": (
        torch_model, ignored(AtenOperands, "max_val", ("hardtanh",), 1.0), "hardtanh",
    ),
    "pytorch: axis": (torch_model, changed("reduce", _other_axis), "mean"),
}  # fmt: skip


def _imported(model: Any) -> Any:
    example = torch.zeros(1, 3, 6, 5) if isinstance(model, nn.Module) else None
    return import_model(model, example=example)


@pytest.mark.parametrize("model", sorted({make for make, _, _ in MISTAKES.values()}, key=str))
def test_without_a_mistake_all_is_equal(model: Callable[[Path], Any], tmp_path: Path) -> None:
    proof = prove(_imported(model(tmp_path)))
    assert proof.reference is not None, proof.help
    assert proof.tensors >= 1


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_a_mistake_is_found_and_its_node_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, plant, node = MISTAKES[name]
    model = make(tmp_path)
    plant(monkeypatch)
    with pytest.raises(ModelError) as caught:
        prove(_imported(model))
    assert caught.value.where is not None
    assert node in str(caught.value.where.node)
