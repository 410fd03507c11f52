"""A network without any quantization: real weights, real activations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from tinytrain.experiments.baseline import torch_moves
from tinytrain.experiments.baseline.torch_convolution import Convolution, held
from tinytrain.experiments.baseline.torch_curves import activation
from tinytrain.experiments.baseline.torch_network import Make
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.types import DType
from tinytrain.reference.lowering import quantization, scale_of, zero_of
from tinytrain.reference.windows import SlidingWindow

Tensor = Any
Function = Callable[..., Tensor]

_RELU6_ERROR = 0.01
"""A range that ends this near to 6, relatively, is that of a ReLU6."""


class Differentiated:
    """An operation whose gradient autograd finds, in a record of this operation alone."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._inputs: tuple[Tensor, ...] = ()

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Operation`."""
        self._inputs = inputs
        return self._function(*inputs)

    def backward(self, g: Tensor, wanted: Sequence[bool]) -> Sequence[Tensor | None]:
        """See `Operation`."""
        return differentiate(self._function, self._inputs, g, wanted)


def differentiate(
    function: Function, inputs: Sequence[Tensor], g: Tensor, wanted: Sequence[bool]
) -> list[Tensor | None]:
    """The gradient of each wanted input of a function, from that of its output."""
    with torch.enable_grad():
        leaves = [x.detach().requires_grad_(w) for x, w in zip(inputs, wanted, strict=True)]
        y = function(*leaves)
    found = iter(torch.autograd.grad(y, [x for x in leaves if x.requires_grad], g))
    return [next(found) if is_wanted else None for is_wanted in wanted]


class Passed:
    """An operation that changes no real value."""

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Operation`."""
        return inputs[0]

    def backward(self, g: Tensor, wanted: Sequence[bool]) -> Sequence[Tensor | None]:
        """See `Operation`."""
        return (g,)


class Reshaped:
    """A reshape of N samples."""

    def __init__(self, node: Node) -> None:
        self._before, self._after = (
            (-1, *value.type.shape[1:]) for value in (node.inputs[0], node.output)
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Operation`."""
        return inputs[0].reshape(self._after)

    def backward(self, g: Tensor, wanted: Sequence[bool]) -> Sequence[Tensor | None]:
        """See `Operation`."""
        return (g.reshape(self._before),)


def transposed(node: Node) -> Function:
    """A transpose of N samples."""
    axes = node.attrs["axes"]
    return lambda x: x.permute(axes)


def joined(node: Node) -> Function:
    """A concatenation."""
    axis = node.attrs["axis"]
    return lambda *parts: torch.cat(parts, dim=axis)


def window_sums(node: Node, x: Tensor) -> Tensor:
    """Sums over the windows of a pooling; [N, H, W, C] to the same."""
    window, strides, padding = (node.attrs[key] for key in ("window", "strides", "padding"))
    if window == tuple(x.shape[1:3]) and not any(padding):
        return x.sum((1, 2), keepdim=True)
    top, left, bottom, right = padding
    padded = F.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom))
    return F.avg_pool2d(padded, window, strides, divisor_override=1).permute(0, 2, 3, 1)


def window_counts(node: Node) -> Tensor:
    """The taps that the mean of each window divides by: float32 [1, H, W, 1]."""
    _, height, width, _ = node.inputs[0].type.shape
    window = SlidingWindow(node.attrs["window"], node.attrs["strides"], node.attrs["padding"])
    counts = window.counts(height, width, include_pad=node.attrs["count_include_pad"])
    return torch.from_numpy(np.broadcast_to(counts, (1, *window.outputs(height, width), 1)).copy())


def mean(node: Node) -> Function:
    """An average pooling."""
    counts = window_counts(node).float()
    return lambda x: window_sums(node, x) / counts


def normalized(x: Tensor) -> Tensor:
    """Each vector along the last axis divided by its length."""
    return F.normalize(x, dim=-1)


def largest(node: Node) -> Function:
    """A max pooling; of equal elements the first wins."""
    top, left, bottom, right = node.attrs["padding"]
    around = (left, right, top, bottom)
    window, strides = node.attrs["window"], node.attrs["strides"]

    def function(x: Tensor) -> Tensor:
        padded = F.pad(x.permute(0, 3, 1, 2), around, value=float("-inf"))
        return F.max_pool2d(padded, window, strides).permute(0, 2, 3, 1)

    return function


def bounds(y: Value, clamp: tuple[int, int]) -> tuple[float | None, float | None]:
    """Lower and upper bound of the activation that an s8 clamp stands for, None for none.

    A clamp holds an activation and the ends of the s8 range alike. It is an activation where it is
    narrower than the range, where it begins at the zero point (ReLU), and where such a range ends
    at 6 (ReLU6).
    """
    low, high = clamp
    zero, scale = zero_of(y), scale_of(y)
    lower = scale * (low - zero) if low == zero or low > -128 else None
    end = scale * (high - zero)
    is_relu6 = lower == 0.0 and abs(end - 6.0) <= 6.0 * _RELU6_ERROR
    return lower, end if high < 127 or is_relu6 else None


class Bounds:
    """The activation that is fused into a node; it may be none."""

    def __init__(self, node: Node) -> None:
        y = node.outputs[0]
        found = bounds(y, node.attrs["clamp"]) if y.type.dtype is DType.S8 else (None, None)
        self._is_open = found == (None, None)
        lower, upper = found
        self._lower = float("-inf") if lower is None else lower
        self._upper = float("inf") if upper is None else upper
        self._y: Tensor = None

    def store(self, y: Tensor) -> Tensor:
        """The activation of `y`, which is overwritten."""
        self._y = y if self._is_open else y.clamp_(self._lower, self._upper)
        return self._y

    def gradient(self, g: Tensor) -> Tensor:
        """`g` where the last stored values lie strictly inside, else 0."""
        if self._is_open:
            return g
        return torch.ops.aten.hardtanh_backward(g, self._y, self._lower, self._upper)


class Add:
    """A sum of two activations."""

    def __init__(self, graph: Graph, node: Node) -> None:
        self._bounds = Bounds(node)

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Operation`."""
        return self._bounds.store(inputs[0] + inputs[1])

    def backward(self, g: Tensor, wanted: Sequence[bool]) -> Sequence[Tensor | None]:
        """See `Operation`."""
        g = self._bounds.gradient(g)
        return [g if is_wanted else None for is_wanted in wanted]


class Subtract(Add):
    """A difference of two activations."""

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Operation`."""
        return self._bounds.store(inputs[0] - inputs[1])

    def backward(self, g: Tensor, wanted: Sequence[bool]) -> Sequence[Tensor | None]:
        """See `Operation`."""
        left, right = super().backward(g, wanted)
        return (left, None if right is None else -right)


class Bounded(Differentiated):
    """A function, and the activation that is fused into its node."""

    def __init__(self, function: Function, node: Node) -> None:
        super().__init__(function)
        self._bounds = Bounds(node)

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Operation`."""
        return self._bounds.store(super().forward(*inputs))

    def backward(self, g: Tensor, wanted: Sequence[bool]) -> Sequence[Tensor | None]:
        """See `Operation`."""
        return super().backward(self._bounds.gradient(g), wanted)


class FloatConvolution(Convolution):
    """A convolution with real weights, and the activation behind it."""

    def __init__(self, graph: Graph, node: Node) -> None:
        x, w, _ = node.inputs
        parts = held(graph, node)
        scale = torch.tensor(quantization(w).scales(w.type.shape[0]), dtype=torch.float32)
        one = torch.ones_like(scale)
        super().__init__(
            node,
            parts.weights * scale.reshape(-1, 1, 1, 1),
            parts.bias * scale * scale_of(x),
            parts,
            input_unit=1.0,
            weight_unit=None,
            weight_pace=one,
            bias_pace=one,
        )
        self._bounds = Bounds(node)

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Operation`."""
        return self._bounds.store(self.sums(*inputs))

    def backward(self, g: Tensor, wanted: Sequence[bool]) -> Sequence[Tensor | None]:
        """See `Operation`."""
        return (self.gradients(self._bounds.gradient(g), wanted[0]),)


class FloatArithmetic:
    """Activations are real; see `Arithmetic`."""

    stored = torch.float32

    def __init__(self) -> None:
        self.operations: Mapping[str, Make] = {
            "conv2d": FloatConvolution,
            "add": Add,
            "subtract": Subtract,
            "multiply": lambda graph, node: Bounded(torch.mul, node),
            "avg_pool2d": lambda graph, node: Bounded(mean(node), node),
            "max_pool2d": lambda graph, node: Bounded(largest(node), node),
            "max_pool2d_winner": lambda graph, node: Bounded(largest(node), node),
            "activation": lambda graph, node: Differentiated(activation(node)),
            "l2_normalize": lambda graph, node: Differentiated(normalized),
            "dequantize": lambda graph, node: Passed(),
            "concatenate": lambda graph, node: Differentiated(joined(node)),
            "reshape": lambda graph, node: Reshaped(node),
            "transpose": lambda graph, node: Differentiated(transposed(node)),
            "slice": lambda graph, node: Differentiated(torch_moves.cut(node)),
            "pad": lambda graph, node: Differentiated(torch_moves.padded_by(node, 0.0)),
        }

    def enter(self, value: Value, integers: Tensor) -> Tensor:
        """See `Arithmetic`."""
        return (integers.float() - zero_of(value)) * scale_of(value)

    def keep(self, value: Value, activation: Tensor) -> Tensor:
        """See `Arithmetic`."""
        return activation

    def take(self, value: Value, frozen: Tensor) -> Tensor:
        """See `Arithmetic`."""
        return frozen
