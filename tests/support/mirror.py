"""The same training step in PyTorch, double precision: derivatives by autograd, not by our table.

Forward values are those that the device computes; rounding passes gradients on unchanged, a clamp
passes them where the output lies strictly inside its bounds. That is the meaning of the gradients
in docs/arithmetic.md section 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch.nn import functional as F

from tests.support.graphs import GRAPHS
from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.experiments.baseline import torch_moves
from tinytrain.ir.expression import Step
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import role_of
from tinytrain.ir.ops import Role
from tinytrain.ir.types import DType
from tinytrain.passes.base import Runner
from tinytrain.reference.lowering import quantization, scale_of, zero_of

# Seven significant digits, over sums of some thousand terms.
F32_ERROR = 2e-5
# Slopes of activations are held in units of 2^-14, half a unit of error each.
SLOPE_ERROR = 2e-4


def _nchw(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 3, 1, 2)


def _nhwc(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 2, 3, 1)


def _pad(x: torch.Tensor, padding: tuple[int, int, int, int], value: float = 0.0) -> torch.Tensor:
    top, left, bottom, right = padding
    return F.pad(x, (left, right, top, bottom), value=value)


def _kinked(x: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """clamp(x, low, high) whose derivative at a kink is that of the right side."""
    inside = ((x >= low) & (x < high)).double()
    return x.clamp(low, high).detach() + (x - x.detach()) * inside


_ACTIVATIONS = {
    "identity": lambda x, a, b: x,
    "relu": lambda x, a, b: _kinked(x, 0.0, float("inf")),
    "relu6": lambda x, a, b: _kinked(x, 0.0, 6.0),
    "leaky_relu": lambda x, a, b: a * x + (1 - a) * _kinked(x, 0.0, float("inf")),
    "hard_sigmoid": lambda x, a, b: _kinked(a * x + b, 0.0, 1.0),
    "hard_swish": lambda x, a, b: F.hardswish(x),
    "sigmoid": lambda x, a, b: torch.sigmoid(x),
    "tanh": lambda x, a, b: torch.tanh(x),
}


_STEPS = {
    **_ACTIVATIONS,
    "linear": lambda x, a, b: a * x + b,
    "exp": lambda x, a, b: torch.exp(x),
    "square": lambda x, a, b: torch.square(x),
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
    "add": lambda x, y: x + y,
}


def _expression(steps: Sequence[Step], x: torch.Tensor) -> torch.Tensor:
    known = [x]
    for name, reads, alpha, beta in steps:
        read = [known[k] for k in reads]
        known.append(_STEPS[name](*read) if len(read) == 2 else _STEPS[name](*read, alpha, beta))
    return known[-1]


_MOVED = frozenset({"merge_channels", "reshape", "transpose", "slice", "pad"})
_UNCLAMPED = frozenset({"concatenate", "l2_normalize", "max_pool2d", "max_pool2d_winner"})


class Mirror:
    """Autograd over one step of a training graph.

    Args:
        graph: the graph that is emitted.
        known: every value of the step, from the reference.
    """

    def __init__(self, graph: Graph, known: Mapping[Value, np.ndarray]) -> None:
        self.graph = graph
        self.known = known
        self.real: dict[Value, torch.Tensor] = {}
        self.leaves: dict[Value, torch.Tensor] = {}

    def gradients(self) -> dict[Value, np.ndarray]:
        """dL/d(real value) of each trained weight and bias."""
        for value in self.graph.parameters:
            if value.type.dtype is not DType.U8:
                self.leaves[value] = self._leaf(value, self.graph.parameters[value])
        for node in self.graph.nodes:
            if role_of(node) is Role.LOSS:
                self._loss(node).backward()
                break
            self._forward(node)
        return {value: leaf.grad.numpy() for value, leaf in self.leaves.items()}

    def _leaf(self, value: Value, data: np.ndarray) -> torch.Tensor:
        scale = np.array(quantization(value).scales(data.shape[0])).reshape(
            (-1,) + (1,) * (data.ndim - 1)
        )
        return torch.tensor(data * scale, dtype=torch.float64, requires_grad=True)

    def _input(self, value: Value) -> torch.Tensor:
        if value in self.leaves:
            return self.leaves[value]
        if value in self.real:
            return self.real[value]
        data = self.known[value]
        if value.type.quantization is None:
            raise AssertionError(f"{value} has no real value")
        q = value.type.quantization
        if q.axis is None:
            return torch.tensor((data.astype(np.float64) - q.zero_point) * q.scale[0])
        scale = np.array(q.scale).reshape((-1,) + (1,) * (data.ndim - 1))
        return torch.tensor(data * scale, dtype=torch.float64)

    def _forward(self, node: Node) -> None:
        if node.op in ("clamp_mask", "gather_channels"):
            return
        result = self._operate(node)
        y = node.outputs[0]
        if y.type.dtype is DType.S8 and node.op not in _MOVED:
            data = self.known[y].astype(np.float64)
            actual = torch.tensor((data - zero_of(y)) * scale_of(y))
            lo, hi = node.attrs.get("clamp", (-128, 127))
            inside = torch.tensor((data > lo) & (data < hi))
            if node.op in _UNCLAMPED or _keeps_scale(node):
                inside = torch.ones_like(inside)
            if node.op == "activation":
                exact = torch.round(result.detach() / scale_of(y)) + zero_of(y)
                inside = (exact >= -128) & (exact <= 127)
            # The value of the device, with the derivative of the real function.
            result = torch.where(inside, result + (actual - result).detach(), actual)
        self.real[y] = result

    def _operate(self, node: Node) -> torch.Tensor:
        inputs = [self._input(value) for value in node.inputs] if node.op != "conv2d" else []
        attrs = node.attrs
        if node.op == "conv2d":
            return self._conv(node)
        if node.op == "rescale_bias":
            return self._rescaled(node, inputs[0])
        if node.op == "add":
            return inputs[0] + inputs[1]
        if node.op == "subtract":
            return inputs[0] - inputs[1]
        if node.op == "multiply":
            return inputs[0] * inputs[1]
        if node.op == "l2_normalize":
            return F.normalize(inputs[0], dim=-1)
        if node.op == "concatenate":
            return torch.cat(inputs, dim=attrs["axis"])
        if node.op == "reshape":
            return inputs[0].reshape(node.output.type.shape)
        if node.op == "slice":
            return torch_moves.cut(node)(inputs[0])
        if node.op == "pad":
            return torch_moves.padded_by(node, 0.0)(inputs[0])
        if node.op == "transpose":
            return inputs[0].permute(attrs["axes"])
        if "steps" in attrs:
            return _expression(attrs["steps"], inputs[0])
        if node.op == "activation":
            return _ACTIVATIONS[attrs["function"]](inputs[0], attrs["alpha"], attrs["beta"])
        if node.op == "dequantize":
            return inputs[0]
        if node.op == "merge_channels":
            return self._merge(node, inputs)
        if node.op == "avg_pool2d":
            ones = torch.ones_like(inputs[0])
            count = self._window_sum(ones, node)
            if attrs["count_include_pad"]:
                count = torch.full_like(count, attrs["window"][0] * attrs["window"][1])
            return self._window_sum(inputs[0], node) / count
        if node.op in ("max_pool2d", "max_pool2d_winner"):
            padded = _pad(_nchw(inputs[0]), attrs["padding"], value=-1e9)
            return _nhwc(F.max_pool2d(padded, attrs["window"], attrs["strides"]))
        raise AssertionError(f"the mirror knows no {node.op}")

    def _rescaled(self, node: Node, bias: torch.Tensor) -> torch.Tensor:
        """The bias in its new units, as the device rounds it."""
        y = node.output
        assert y.type.quantization is not None
        actual = torch.tensor(self.known[y] * np.array(y.type.quantization.scale))
        return bias + (actual - bias).detach()

    def _window_sum(self, x: torch.Tensor, node: Node) -> torch.Tensor:
        padded = _pad(_nchw(x), node.attrs["padding"])
        area = node.attrs["window"][0] * node.attrs["window"][1]
        return _nhwc(F.avg_pool2d(padded, node.attrs["window"], node.attrs["strides"])) * area

    def _conv(self, node: Node) -> torch.Tensor:
        x, w, b = node.inputs
        attrs = node.attrs
        bias = self.leaves.get(b, self.real.get(b))
        if bias is None:
            unit = scale_of(x) * quantization(w).scales(b.type.size)
            bias = torch.tensor(self.known[b] * unit, dtype=torch.float64)
        kernel = self._input(w).permute(0, 3, 1, 2)
        padded = _pad(_nchw(self._input(x)), attrs["padding"])
        y = F.conv2d(padded, kernel, bias, attrs["strides"], 0, attrs["dilation"], attrs["groups"])
        return _nhwc(y)

    def _merge(self, node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
        axis = node.attrs["axis"]
        chosen = list(node.attrs["channels"])
        total = node.output.type.shape[axis]
        others = [k for k in range(total) if k not in set(chosen)]
        order = torch.tensor(np.argsort(chosen + others))
        return torch.cat(inputs, dim=axis).index_select(axis, order)

    def _loss(self, node: Node) -> torch.Tensor:
        output, target = node.inputs
        real = self._input(output).reshape(output.type.shape)
        smoothing = node.attrs.get("smoothing", 0.0)
        given = node.attrs.get("class_weights", ())
        wanted = torch.tensor(self.known[target])
        return self.loss_of(node.op, real, wanted, smoothing, given)

    @staticmethod
    def loss_of(
        op: str,
        output: torch.Tensor,
        target: torch.Tensor,
        smoothing: float = 0.0,
        class_weights: Sequence[float] = (),
    ) -> torch.Tensor:
        """PyTorch's own loss of one sample, output [1, N], weighted."""
        weight = torch.tensor(class_weights).double() if class_weights else None
        if op == "softmax_cross_entropy" and smoothing and weight is not None:
            plain = F.cross_entropy(output, target.long(), label_smoothing=smoothing)
            return plain * weight[int(target)]
        if op == "softmax_cross_entropy":
            return F.cross_entropy(
                output, target.long(), weight, label_smoothing=smoothing, reduction="sum"
            )
        if op == "pixel_cross_entropy":
            each = F.cross_entropy(
                output.reshape(target.numel(), -1), target.long(), weight, reduction="none"
            )
            return each.mean()
        if op == "binary_cross_entropy" and weight is not None:
            wanted = target.double().reshape(output.shape)
            if target.dtype is torch.int32:
                plain = F.binary_cross_entropy_with_logits(output, wanted)
                return plain * weight[int(target)]
            return F.binary_cross_entropy_with_logits(output, wanted, pos_weight=weight)
        function = {
            "mean_squared_error": F.mse_loss,
            "binary_cross_entropy": F.binary_cross_entropy_with_logits,
            "huber": F.huber_loss,
        }[op]
        return function(output, target.double().reshape(output.shape))


def _keeps_scale(node: Node) -> bool:
    return (
        node.op == "avg_pool2d"
        and node.inputs[0].type.quantization == node.output.type.quantization
    )


def prepared(name: str, **options: object) -> Compiled:
    """The training step of a small graph."""
    return build_step(GRAPHS[name](), Options(**{"fraction_bits": 0, **options}), Runner())  # type: ignore[arg-type]
