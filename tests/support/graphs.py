"""Small s8 forward graphs with every operation, and scales that suit random inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from tinytrain.ir.build import GraphBuilder
from tinytrain.ir.expression import EXPRESSION, Step
from tinytrain.ir.graph import Graph, Value
from tinytrain.ir.ops_normalize import NORMALIZED
from tinytrain.ir.source import ModelSource
from tinytrain.ir.types import DType, Quantization, TensorType
from tinytrain.passes.dense_to_conv import DenseToConv
from tinytrain.quantize.shared import share_biases
from tinytrain.reference.interpret import Machine

FULL = (-128, 127)


class Net:
    """Builds a graph layer by layer; a probe's values there choose each output's scale."""

    def __init__(self, shape: tuple[int, ...], seed: int, name: str = "net") -> None:
        self.rng = np.random.default_rng(seed)
        self.probe = self.rng.integers(-100, 101, shape).astype(np.int8)
        empty = Graph(name, (), (), ())
        self.builder = GraphBuilder(empty)
        self.x = self.builder.input("x", TensorType(shape, DType.S8, Quantization((0.02,), 3)))
        self.counts: dict[str, int] = {}

    def layer(self, kind: str) -> str:
        number = self.counts.get(kind, 0)
        self.counts[kind] = number + 1
        return f"{kind}_{number}"

    def emit(
        self,
        op: str,
        kind: str,
        inputs: list[Value],
        shape: tuple[int, ...],
        *,
        scaled: bool = True,
        **attrs,
    ):
        """A node whose output quantization is found by running it at a coarse scale first."""
        name = self.layer(kind)
        if not scaled:
            type_ = TensorType(shape, DType.S8, inputs[0].type.quantization)
            return self.builder.node(op, inputs, [type_], name=name, layer=name, **attrs)[0]
        relu = attrs.get("clamp") == "relu"
        scale = self._scale(op, inputs, shape, attrs, relu)
        zero = -128 if relu else int(self.rng.integers(-20, 20))
        if relu:
            attrs["clamp"] = (-128, 127)
        type_ = TensorType(shape, DType.S8, Quantization((float(np.float32(scale)),), zero))
        return self.builder.node(op, inputs, [type_], name=name, layer=name, **attrs)[0]

    def _scale(self, op, inputs, shape, attrs, relu) -> float:
        scale = 1e-4
        for _ in range(40):
            builder = GraphBuilder(self.builder.build())
            trial = {**attrs, "clamp": FULL} if "clamp" in attrs else attrs
            type_ = TensorType(shape, DType.S8, Quantization((scale,), 0))
            builder.node(op, inputs, [type_], name="probe", layer="probe", **trial)
            graph = DenseToConv()(builder.build())
            found = Machine(graph).run({"x": self.probe})
            result = next(data for known, data in found.items() if known.name == "probe")
            # A few saturate, so that clamps are at work in every layer.
            if np.mean(np.abs(result.astype(int)) >= 127) < 0.02:
                return scale * (0.55 if relu else 1.0)
            scale *= 1.5
        raise AssertionError(f"no scale for {op}")

    def weights(self, shape: tuple[int, ...], fan_in: int, x: Value) -> tuple[Value, Value]:
        scale = np.exp(self.rng.uniform(-1.5, 0.0, shape[0])) * 0.02 / np.sqrt(fan_in)
        scale = tuple(float(np.float32(s)) for s in scale)
        number = len(self.builder.constants)
        w = self.builder.constant(
            f"w{number}",
            TensorType(shape, DType.S8, Quantization(scale, axis=0)),
            self.rng.integers(-127, 128, shape).astype(np.int8),
        )
        assert x.type.quantization is not None
        unit = x.type.quantization.scale[0] * np.array(scale)
        bias = (self.rng.normal(0, 0.3, shape[0]) / unit).clip(-(2**30), 2**30)
        b = self.builder.constant(
            f"b{number}", TensorType((shape[0],), DType.S32), bias.astype(np.int32)
        )
        return w, b

    def conv(
        self,
        x: Value,
        out: int,
        kernel=(3, 3),
        strides=(1, 1),
        padding=(1, 1, 1, 1),
        dilation=(1, 1),
        groups=1,
        clamp=FULL,
    ) -> Value:
        _, height, width, channels = x.type.shape
        shape = (out, *kernel, channels // groups)
        w, b = self.weights(shape, int(np.prod(shape[1:])), x)
        size = [
            (extent + padding[k] + padding[k + 2] - dilation[k] * (kernel[k] - 1) - 1) // strides[k]
            + 1
            for k, extent in enumerate((height, width))
        ]
        return self.emit(
            "conv2d",
            "conv",
            [x, w, b],
            (1, *size, out),
            strides=strides,
            padding=padding,
            dilation=dilation,
            groups=groups,
            clamp=clamp,
        )

    def dense(self, x: Value, out: int, clamp=FULL) -> Value:
        w, b = self.weights((out, x.type.shape[1]), x.type.shape[1], x)
        return self.emit("dense", "dense", [x, w, b], (1, out), clamp=clamp)

    def add(self, a: Value, b: Value, clamp=FULL) -> Value:
        return self.emit("add", "add", [a, b], a.type.shape, clamp=clamp)

    def subtract(self, a: Value, b: Value, clamp=FULL) -> Value:
        return self.emit("subtract", "subtract", [a, b], a.type.shape, clamp=clamp)

    def multiply(self, a: Value, b: Value) -> Value:
        return self.emit("multiply", "multiply", [a, b], a.type.shape, clamp=FULL)

    def activation(self, x: Value, function: str, alpha: float = 0.0, beta: float = 0.0) -> Value:
        return self.emit(
            "activation", "activation", [x], x.type.shape, function=function, alpha=alpha, beta=beta
        )

    def pool(
        self, op: str, x: Value, window, strides, padding=(0, 0, 0, 0), *, scaled=False, **attrs
    ) -> Value:
        _, height, width, channels = x.type.shape
        size = [
            (extent + padding[k] + padding[k + 2] - window[k]) // strides[k] + 1
            for k, extent in enumerate((height, width))
        ]
        return self.emit(
            op,
            op,
            [x],
            (1, *size, channels),
            scaled=scaled,
            window=window,
            strides=strides,
            padding=padding,
            clamp=FULL,
            **attrs,
        )

    def flat(self, x: Value) -> Value:
        return self.emit("reshape", "reshape", [x], (1, x.type.size), scaled=False)

    def finish(self, output: Value) -> Graph:
        """The network; many tests have the same one, so that its constants cannot be written."""
        for data in self.builder.constants.values():
            data.setflags(write=False)
        shape = self.x.type.shape
        self.builder.outputs = [output]
        self.builder.source = ModelSource("net", None, (1, shape[3], *shape[1:3]), "NCHW")
        return self.builder.build()


@cache
def convolutions() -> Graph:
    """Strides, padding, dilation, groups, depthwise with a multiplier, a residual, odd counts."""
    net = Net((1, 9, 7, 3), 1, "convolutions")
    x = net.conv(net.x, 8, strides=(2, 1), padding=(1, 0, 1, 1), clamp="relu")
    x = net.conv(x, 16, groups=8, clamp="relu")
    y = net.conv(x, 12, kernel=(1, 1), padding=(0, 0, 0, 0), groups=4)
    z = net.conv(
        y, 12, kernel=(3, 3), padding=(2, 2, 2, 2), dilation=(2, 2), groups=12, clamp="relu"
    )
    z = net.conv(z, 12, kernel=(1, 1), padding=(0, 0, 0, 0))
    x = net.add(y, z)
    x = net.add(net.conv(x, 12, kernel=(1, 3), padding=(0, 1, 0, 1)), x, clamp=(-60, 90))
    x = net.conv(x, 10, kernel=(2, 2), strides=(3, 3), padding=(0, 0, 0, 0))
    x = net.pool("avg_pool2d", x, x.type.shape[1:3], (1, 1), count_include_pad=False)
    return net.finish(net.dense(net.flat(x), 5))


@cache
def mixture() -> Graph:
    """Squeeze and excite, products, every activation, concatenate, pools, transpose, a fork."""
    net = Net((1, 8, 8, 4), 2, "mixture")
    x = net.activation(net.conv(net.x, 8), "hard_swish")
    squeeze = net.pool("avg_pool2d", x, (8, 8), (1, 1), scaled=True, count_include_pad=False)
    gate = net.activation(
        net.conv(squeeze, 8, kernel=(1, 1), padding=(0, 0, 0, 0)), "hard_sigmoid", 1 / 6, 0.5
    )
    x = net.multiply(x, gate)
    a = net.pool("max_pool2d", x, (3, 3), (2, 2), (1, 1, 0, 0))
    b = net.pool("avg_pool2d", x, (3, 3), (2, 2), (1, 1, 0, 0), count_include_pad=False)
    c = net.activation(
        net.pool("avg_pool2d", x, (2, 2), (2, 2), scaled=True, count_include_pad=True), "tanh"
    )
    q = a.type.quantization
    parts = [a, b, at_scale(net, c, q)]
    joined = net.emit("concatenate", "concatenate", parts, (1, 4, 4, 24), scaled=False, axis=3)
    x = net.activation(net.conv(joined, 6, kernel=(1, 1), padding=(0, 0, 0, 0)), "relu6")
    x = net.multiply(x, net.activation(x, "sigmoid"))
    x = net.activation(x, "leaky_relu", 0.1)
    one = net.pool(
        "avg_pool2d", net.conv(x, 1), (4, 4), (1, 1), scaled=True, count_include_pad=False
    )
    x = net.multiply(x, one)
    x = net.activation(x, "relu")
    x = net.emit("transpose", "transpose", [x], (1, 6, 4, 4), scaled=False, axes=(0, 3, 1, 2))
    return net.finish(net.dense(net.dense(net.flat(x), 9, clamp="relu"), 6))


def layouts() -> Graph:
    """Slices with and without a stride, padding on every axis, a shuffle of six axes, a chunk."""
    net = Net((1, 8, 6, 3), 11, "layouts")

    def move(op: str, x: Value, shape: tuple[int, ...], **attrs: Any) -> Value:
        return net.emit(op, op, [x], shape, scaled=False, **attrs)

    def padded(x: Value, axis: int, start: int, extent: int) -> Value:
        zero = x.type.quantization.zero_point if x.type.quantization else 0
        shape = (*x.type.shape[:axis], extent, *x.type.shape[axis + 1 :])
        return move("pad", x, shape, axis=axis, start=start, extent=extent, fill=zero)

    x = net.conv(net.x, 8, clamp="relu")
    left = move("slice", x, (1, 8, 6, 4), axis=3, start=0, size=4)
    right = move("slice", x, (1, 8, 6, 4), axis=3, start=4, size=4)
    x = net.add(left, right)
    x = move("slice", x, (1, 4, 6, 4), axis=1, start=1, size=4, step=2)
    x = padded(x, 3, 0, 6)
    x = padded(padded(x, 1, 2, 7), 2, 1, 9)
    x = net.conv(x, 8, strides=(2, 2), padding=(0, 0, 0, 0), kernel=(3, 3), clamp="relu")
    x = move("reshape", x, (1, 3, 4, 2, 2, 2))
    x = move("transpose", x, (1, 3, 2, 4, 2, 2), axes=(0, 1, 4, 2, 5, 3))
    x = move("reshape", x, (1, 6, 8, 2))
    x = net.conv(x, 4, clamp="relu")
    return net.finish(net.dense(net.flat(x), 5))


def at_scale(net: Net, x: Value, q: Quantization | None) -> Value:
    """The same values with another quantization, for a concatenation."""
    type_ = TensorType(x.type.shape, DType.S8, q)
    name = net.layer("activation")
    return net.builder.node(
        "activation", [x], [type_], name=name, layer=name, function="identity", alpha=0.0, beta=0.0
    )[0]


@cache
def signal() -> Graph:
    """A 1-D network: maps of height 1, a stride over the kernel, a wide kernel, a residual."""
    net = Net((1, 1, 33, 5), 3, "signal")
    x = net.conv(net.x, 8, kernel=(1, 7), strides=(1, 2), padding=(0, 3, 0, 3), clamp="relu")
    y = net.conv(x, 8, kernel=(1, 5), padding=(0, 2, 0, 2), groups=8, clamp="relu")
    x = net.add(net.conv(y, 8, kernel=(1, 1), padding=(0, 0, 0, 0)), x)
    x = net.conv(x, 9, kernel=(1, 2), strides=(1, 3), padding=(0, 0, 0, 0), clamp="relu")
    x = net.pool("max_pool2d", x, (1, 2), (1, 2))
    return net.finish(net.dense(net.flat(x), 4))


def differences() -> Graph:
    """Differences of two branches either way round, of a value with itself, and with a relu."""
    net = Net((1, 7, 6, 3), 4, "differences")
    x = net.conv(net.x, 8, clamp="relu")
    y = net.conv(x, 8, groups=8)
    left, right = net.subtract(x, y, clamp="relu"), net.subtract(y, x, clamp=(-70, 80))
    x = net.subtract(net.conv(left, 8, kernel=(1, 1), padding=(0, 0, 0, 0)), right)
    x = net.subtract(net.add(x, left), net.activation(x, "relu"))
    x = net.conv(x, 6, strides=(2, 2))
    return net.finish(net.dense(net.flat(x), 4))


@cache
def shared_weights() -> Graph:
    """A convolution that is applied three times, at three scales of its input, with one bias."""
    net = Net((1, 6, 6, 3), 5, "shared_weights")
    x = net.conv(net.x, 6, clamp="relu")
    x = net.conv(x, 6, clamp="relu")
    _, w, _ = net.builder.nodes[-1].inputs
    for _ in range(2):
        # Weights and bias of its own, which the next lines take away again.
        x = net.conv(x, 6, clamp="relu")
        node = net.builder.nodes[-1]
        for value in node.inputs[1:]:
            del net.builder.constants[value]
        type_ = TensorType((6,), DType.S32, _bias_units(node.inputs[0], w))
        unused = net.builder.constant(f"{node.name}_b", type_, np.zeros(6, np.int32))
        inputs = node.inputs[0], w, unused
        net.builder.nodes[-1] = replace(node, inputs=inputs)
    first = net.builder.nodes[1]
    typed = replace(first.inputs[2].type, quantization=_bias_units(first.inputs[0], w))
    bias = net.builder.constant("conv_1_b", typed, net.builder.constants.pop(first.inputs[2]))
    net.builder.nodes[1] = replace(first, inputs=(*first.inputs[:2], bias))
    x = net.pool("avg_pool2d", x, (6, 6), (1, 1), count_include_pad=False)
    return share_biases(net.finish(net.dense(net.flat(x), 4)), [[1, 2, 3]])


def steep_curves() -> Graph:
    """Expressions of one number, slopes of 2 and more, and both behind one another."""
    net = Net((1, 6, 5, 3), 6, "steep_curves")

    def curve(x: Value, *steps: Step) -> Value:
        attrs = {"function": EXPRESSION, "alpha": 0.0, "beta": 0.0, "steps": steps}
        return net.emit("activation", "activation", [x], x.type.shape, **attrs)

    x = curve(
        net.conv(net.x, 8),
        ("linear", (0,), 1.702, 0.0),
        ("sigmoid", (1,), 0.0, 0.0),
        ("multiply", (0, 2), 0.0, 0.0),
    )
    x = net.activation(net.conv(x, 8), "leaky_relu", 5.0)
    x = curve(
        net.conv(x, 6, strides=(2, 2)),
        ("linear", (0,), -0.25, 0.0),
        ("exp", (1,), 0.0, 0.0),
        ("linear", (2,), 1.0, 1.0),
        ("divide", (0, 3), 0.0, 0.0),
        ("square", (4,), 0.0, 0.0),
        ("add", (5, 0), 0.0, 0.0),
    )
    return net.finish(net.dense(net.flat(x), 4))


@cache
def embedding() -> Graph:
    """L2 normalisations: of each place of a map, of a vector before a classifier, at the end."""
    net = Net((1, 6, 5, 3), 17, "embedding")
    x = normalized(net, net.conv(net.x, 7, clamp="relu"))
    x = net.conv(x, 6, strides=(2, 2), clamp="relu")
    x = normalized(net, net.dense(net.flat(x), 10))
    return net.finish(normalized(net, net.dense(x, 5)))


def normalized(net: Net, x: Value) -> Value:
    """x with the length 1 along its last axis."""
    type_ = TensorType(x.type.shape, DType.S8, NORMALIZED)
    name = net.layer("l2_normalize")
    return net.builder.node("l2_normalize", [x], [type_], name=name, layer=name)[0]


def _bias_units(x: Value, w: Value) -> Quantization:
    assert x.type.quantization is not None and w.type.quantization is not None
    unit = x.type.quantization.scale[0] * np.array(w.type.quantization.scale)
    return Quantization(tuple(float(u) for u in unit), axis=0)


GRAPHS: dict[str, Callable[[], Graph]] = {
    "convolutions": convolutions,
    "mixture": mixture,
    "layouts": layouts,
    "signal": signal,
    "differences": differences,
    "embedding": embedding,
}

SOME_WEIGHTS = """[weights]
conv_0 = 0.7
conv_1 = 0.3
conv_2 = 0.5
conv_3 = { channels = [1, 5, 11] }
conv_5 = 0.25
"""
"""Of a scheme for `convolutions`: some channels of plain, grouped and depthwise layers."""
