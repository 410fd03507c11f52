# house(module): one form for each operation of a training step
"""The device's forward pass over float32 masters, with f32 gradients.

An activation is its integers less their zero point, whole numbers in float32. Requantizations are
in float64, whose products of a sum and a multiplier differ from the exact ones by less than any
that decides a rounding; sums of convolutions are exact below 2^24, and off by a unit or two of the
accumulator beyond. Rounding passes gradients on unchanged, a clamp where it is open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from tinytrain.experiments.baseline import torch_float, torch_moves
from tinytrain.experiments.baseline.torch_convolution import Convolution, held
from tinytrain.experiments.baseline.torch_float import (
    Differentiated,
    Function,
    Passed,
    Reshaped,
    differentiate,
)
from tinytrain.experiments.baseline.torch_network import Make
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.types import DType
from tinytrain.reference import activations, convolution, elementwise, pooling
from tinytrain.reference.lowering import quantization, scale_of, zero_of

Tensor = Any

_FULL = (-128, 127)


class Clamp:
    """A clamp to s8, of integers less the zero point.

    Args:
        y: the value that is clamped.
        clamp: lowest and highest integer.
    """

    def __init__(self, y: Value, clamp: tuple[int, int]) -> None:
        self.low, self.high = (float(bound - zero_of(y)) for bound in clamp)
        self._y: Tensor = None

    def store(self, real: Tensor) -> Tensor:
        """Rounds float64 of its own, a tie up, and clamps it; float32."""
        self._y = real.add_(0.5).floor_().clamp_(self.low, self.high).float()
        return self._y

    def gradient(self, g: Tensor) -> Tensor:
        """`g` where the last stored values lie strictly inside, else 0."""
        return torch.ops.aten.hardtanh_backward(g, self._y, self.low, self.high)


class MasterConvolution(Convolution):
    """A convolution whose weights are rounded masters.

    Args:
        qas: masters move as the real weights would; else by the gradient of the integers.
    """

    def __init__(self, graph: Graph, node: Node, *, qas: bool) -> None:
        x, w, _ = node.inputs
        y = node.output
        parts = held(graph, node)
        scale = torch.tensor(quantization(w).scales(w.type.shape[0]))
        bias_scale = scale * scale_of(x)
        super().__init__(
            node,
            parts.weights,
            parts.bias,
            parts,
            input_unit=scale_of(x),
            weight_unit=scale.float(),
            weight_pace=(1.0 / scale if qas else scale).float(),
            bias_pace=(1.0 / bias_scale if qas else bias_scale).float(),
        )
        self._clamp: Clamp | None = None
        if y.type.dtype is DType.S8:
            self._clamp = Clamp(y, node.attrs["clamp"])
            self._factors = _reals(convolution.conv_requant(x, w, y))

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Operation`."""
        acc = self.sums(*inputs)
        if self._clamp is None:
            return acc
        return self._clamp.store(acc.double().mul_(self._factors))

    def backward(self, g: Tensor, wanted: Sequence[bool]) -> Sequence[Tensor | None]:
        """See `Operation`."""
        if self._clamp is not None:
            g = self._clamp.gradient(g)
        return (self.gradients(g, wanted[0]),)

    def shown_weights(self, master: Tensor) -> Tensor:
        """Rounded, and clamped to s8."""
        return master.round().clamp_(-128.0, 127.0)

    def shown_bias(self, master: Tensor) -> Tensor:
        """Rounded."""
        return master.round()


class MasterAdd:
    """A sum of two activations."""

    factors = staticmethod(elementwise.add_factors)

    def __init__(self, graph: Graph, node: Node) -> None:
        y = node.output
        a, b = node.inputs
        factors, shift = self.factors(a, b, y)
        self._left, self._right = (factor * 2.0**-shift for factor in factors)
        self._clamp = Clamp(y, node.attrs["clamp"])

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Operation`."""
        a, b = inputs
        # Not in place: a constant is one sample, whatever the other side is.
        return self._clamp.store(torch.add(a.double().mul_(self._left), b, alpha=self._right))

    def backward(self, g: Tensor, wanted: Sequence[bool]) -> Sequence[Tensor | None]:
        """See `Operation`."""
        g = self._clamp.gradient(g)
        return [g if is_wanted else None for is_wanted in wanted]


class MasterSubtract(MasterAdd):
    """A difference of two activations."""

    factors = staticmethod(elementwise.subtract_factors)

    def backward(self, g: Tensor, wanted: Sequence[bool]) -> Sequence[Tensor | None]:
        """See `Operation`."""
        left, right = super().backward(g, wanted)
        return (left, None if right is None else -right)


class Multiply:
    """A product of two activations, the second perhaps broadcast."""

    def __init__(self, graph: Graph, node: Node) -> None:
        y = node.output
        a, b = node.inputs
        self._scales = scale_of(a), scale_of(b)
        self._factor = float(_reals(elementwise.multiply_requant(a, b, y))[0])
        self._clamp = Clamp(y, node.attrs["clamp"])
        self._inputs: tuple[Tensor, ...] = ()

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Operation`."""
        self._inputs = inputs
        a, b = inputs
        return self._clamp.store((a.double() * b).mul_(self._factor))

    def backward(self, g: Tensor, wanted: Sequence[bool]) -> Sequence[Tensor | None]:
        """See `Operation`."""
        reals = [x * scale for x, scale in zip(self._inputs, self._scales, strict=True)]
        return differentiate(torch.mul, reals, self._clamp.gradient(g), wanted)


class Pooled(Differentiated):
    """A pooling.

    Args:
        exact: from the input to what is stored, in float64 before its rounding.
        function: the same in real numbers.
        clamp: of the output.
        opens: whether gradients pass everywhere, as where no integer leaves the input's range.
    """

    def __init__(self, exact: Function, function: Function, clamp: Clamp, *, opens: bool) -> None:
        super().__init__(function)
        self._exact = exact
        self._clamp = clamp
        self._opens = opens

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Operation`."""
        self._inputs = inputs
        return self._clamp.store(self._exact(*inputs))

    def backward(self, g: Tensor, wanted: Sequence[bool]) -> Sequence[Tensor | None]:
        """See `Operation`."""
        return super().backward(g if self._opens else self._clamp.gradient(g), wanted)


def _mean(graph: Graph, node: Node) -> Pooled:
    counts = torch_float.window_counts(node)
    requant = pooling.avg_pool_requant(node)
    clamp = Clamp(node.output, node.attrs["clamp"])
    opens = requant is None and node.attrs["clamp"] == _FULL
    if requant is not None:
        factors = _reals(requant)[counts - 1]

        def exact(x: Tensor) -> Tensor:
            return torch_float.window_sums(node, x).double().mul_(factors)

    else:
        zero = zero_of(node.output)

        def exact(x: Tensor) -> Tensor:
            total = torch_float.window_sums(node, x).double().add_(counts * zero)
            magnitude = (total.abs() + counts // 2).div_(counts, rounding_mode="floor")
            return magnitude.mul_(total.sign()).sub_(zero)

    return Pooled(exact, torch_float.mean(node), clamp, opens=opens)


def _largest(graph: Graph, node: Node) -> Pooled:
    function = torch_float.largest(node)
    clamp = Clamp(node.outputs[0], node.attrs["clamp"])
    opens = node.attrs["clamp"] == _FULL
    return Pooled(lambda x: function(x).double(), function, clamp, opens=opens)


class Normalized(Differentiated):
    """An L2 normalisation, rounded to units of 1/128."""

    def __init__(self, graph: Graph, node: Node) -> None:
        super().__init__(torch_float.normalized)
        self._scale = scale_of(node.inputs[0])

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Operation`."""
        self._inputs = (inputs[0] * self._scale,)
        unit = torch_float.normalized(inputs[0].double()) * 128
        magnitude = (unit.abs() + 0.5).floor_()
        return magnitude.mul_(unit.sign()).clamp_(-128, 127).float()


class Lookup:
    """A table of 256 entries, and one of slopes."""

    def __init__(self, graph: Graph, node: Node) -> None:
        x, y = node.inputs[0], node.output
        table = activations.activation_table(node).astype(np.float32) - zero_of(y)
        self._table = torch.from_numpy(table)
        # What the device multiplies by; no node, where nothing before this one trains.
        slopes = np.zeros(256, np.float32)
        for other in graph.nodes:
            if other.op == "activation_grad" and other.layer == node.layer:
                unit = np.float32(2.0 ** -activations.slope_shift(other))
                slopes = activations.activation_grad_table(other) * unit
        self._slopes = torch.from_numpy(slopes)
        self._first = zero_of(x) + 128
        self._index: Tensor = None

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Operation`."""
        self._index = inputs[0].long().add_(self._first)
        return self._table[self._index]

    def backward(self, g: Tensor, wanted: Sequence[bool]) -> Sequence[Tensor | None]:
        """See `Operation`."""
        return (g * self._slopes[self._index],)


class Dequantize(Passed):
    """Integers to real numbers; gradients are real already."""

    def __init__(self, graph: Graph, node: Node) -> None:
        self._scale = torch.tensor(quantization(node.inputs[0]).scale, dtype=torch.float32)

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Operation`."""
        return inputs[0] * self._scale


def _reals(pair: tuple[np.ndarray, np.ndarray]) -> Tensor:
    """(M, S) as the factors that they stand for, float64."""
    mantissas, shifts = pair
    return torch.from_numpy(np.ldexp(mantissas.astype(np.float64), shifts.astype(np.int64) - 31))


class MasterArithmetic:
    """Activations are whole numbers; see `Arithmetic`.

    Args:
        qas: see `MasterConvolution`.
    """

    stored = torch.int8

    def __init__(self, *, qas: bool) -> None:
        def convolution(graph: Graph, node: Node) -> MasterConvolution:
            return MasterConvolution(graph, node, qas=qas)

        def move(make: Callable[[Node], Function]) -> Make:
            return lambda graph, node: Differentiated(make(node))

        self.operations: Mapping[str, Make] = {
            "conv2d": convolution,
            "add": MasterAdd,
            "subtract": MasterSubtract,
            "multiply": Multiply,
            "avg_pool2d": _mean,
            "max_pool2d": _largest,
            "max_pool2d_winner": _largest,
            "activation": Lookup,
            "l2_normalize": Normalized,
            "dequantize": Dequantize,
            "concatenate": move(torch_float.joined),
            "reshape": lambda graph, node: Reshaped(node),
            "transpose": move(torch_float.transposed),
            "slice": move(torch_moves.cut),
            "pad": move(lambda node: torch_moves.padded_by(node, 0.0)),
        }

    def enter(self, value: Value, integers: Tensor) -> Tensor:
        """See `Arithmetic`."""
        return integers.float().sub_(zero_of(value))

    def keep(self, value: Value, activation: Tensor) -> Tensor:
        """See `Arithmetic`."""
        return (activation + zero_of(value)).to(torch.int8)

    def take(self, value: Value, frozen: Tensor) -> Tensor:
        """See `Arithmetic`."""
        return self.enter(value, frozen)
