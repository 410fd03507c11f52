"""Convolutions in PyTorch that keep float32 masters of what they train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from tinytrain.ir.graph import Graph, Node, Value

Tensor = Any


@dataclass(frozen=True, eq=False)
class Held:
    """The integers of a convolution before anything was trained, and which of them train.

    Attributes:
        weights: float32 [O, I/groups, KH, KW], whole numbers.
        bias: float32 [O], whole numbers.
        axis: along which `channels` count: 1, or 0 for a depthwise layer.
        channels: that train; None for all of them, empty for none.
        trains_bias: whether the bias does.
        layer_rate: times the learning rate.
    """

    weights: Tensor
    bias: Tensor
    axis: int
    channels: tuple[int, ...] | None
    trains_bias: bool
    layer_rate: float


def held(graph: Graph, node: Node) -> Held:
    """What the graph says of a convolution; the parts of split weights are joined."""
    _, w, b = node.inputs
    merge = graph.producers().get(w)
    axis = 1
    channels: tuple[int, ...] | None = None if w in graph.parameters else ()
    if merge is None:
        weights = _data(graph, w)
    else:
        channels = tuple(merge.attrs["channels"])
        along = merge.attrs["axis"]
        axis = 0 if along == 0 else 1
        weights = np.empty(w.type.shape, np.int8)
        chosen = np.zeros(w.type.shape[along], bool)
        chosen[list(channels)] = True
        view = np.moveaxis(weights, along, 0)
        for mine, part in zip((chosen, ~chosen), merge.inputs, strict=True):
            view[mine] = np.moveaxis(_data(graph, part), along, 0)
    kernels = torch.from_numpy(np.ascontiguousarray(weights.transpose(0, 3, 1, 2)))
    bias = torch.from_numpy(_data(graph, b).astype(np.float32))
    rates = [other.attrs.get("layer_rate") for other in graph.nodes if other.layer == node.layer]
    layer_rate = next((rate for rate in rates if rate is not None), 1.0)
    return Held(kernels.float(), bias, axis, channels, b in graph.parameters, layer_rate)


def _data(graph: Graph, value: Value) -> np.ndarray:
    found = graph.data(value)
    assert found is not None
    return found


@dataclass(frozen=True)
class Motion:
    """What else there is to an update.

    Attributes:
        momentum: 0 to 1, as `torch.optim.SGD` has it.
        decay: share of a weight that a step of rate 1 takes off it; biases do not decay.
    """

    momentum: float = 0.0
    decay: float = 0.0


class Master:
    """A trained tensor in float32, moved by SGD.

    Args:
        value: where it starts, first axis output channels.
        unit: of a gradient sum: gradient of the real value = unit * sum.
        pace: for each output channel, what a unit of real gradient moves the master by at rate 1.

    Attributes:
        sums: of the last backward pass.
    """

    def __init__(self, value: Tensor, unit: float, pace: Tensor) -> None:
        self.value = value.clone()
        self.sums: Tensor = torch.zeros_like(value)
        self._unit = unit
        self._pace = (unit * pace).reshape(-1, *[1] * (value.dim() - 1))
        self._velocity: Tensor | None = None

    def gradient(self) -> Tensor:
        """Of the real value."""
        return self._unit * self.sums

    def move(self, rate: float, momentum: float, decay: float = 0.0) -> None:
        """One step against the gradient."""
        sums = self.sums
        if momentum:
            if self._velocity is None:
                self._velocity = sums.clone()
            else:
                self._velocity.mul_(momentum).add_(sums)
            sums = self._velocity
        if decay:
            self.value.mul_(1.0 - rate * decay)
        self.value.addcmul_(sums, self._pace, value=-rate)


class Convolution:
    """Sums of a convolution and their gradients; what follows the sums is a subclass's.

    Args:
        node: the convolution.
        weights: float32 [O, I/groups, KH, KW] that the forward pass starts with.
        bias: float32 [O].
        of: which of both train.
        input_unit: real value of 1 in the input.
        weight_unit: real value of 1 in the weights, for each output channel, float32 [O]; None
            where it is 1.
        weight_pace: see `Master`, for the weights.
        bias_pace: the same for the bias.

    Attributes:
        weight_master: of the trained channels; None where no weight trains.
        bias_master: None where it does not train.
    """

    def __init__(
        self,
        node: Node,
        weights: Tensor,
        bias: Tensor,
        of: Held,
        *,
        input_unit: float,
        weight_unit: Tensor | None,
        weight_pace: Tensor,
        bias_pace: Tensor,
    ) -> None:
        self.node = node
        self._weights, self._bias = weights, bias
        self._weight_unit = weight_unit
        attrs = node.attrs
        top, left, bottom, right = attrs["padding"]
        self._strides, self._dilation = list(attrs["strides"]), list(attrs["dilation"])
        self._groups = attrs["groups"]
        self._around = (left, right, top, bottom) if (top, left) != (bottom, right) else None
        self._padding = [0, 0] if self._around else [top, left]
        self._is_pointwise = (
            tuple(weights.shape[2:]) == (1, 1)
            and self._strides == [1, 1]
            and not any(attrs["padding"])
            and self._groups == 1
        )
        self._matrix = weights.reshape(weights.shape[:2]) if self._is_pointwise else None
        self._axis = of.axis
        self._channels = None if of.channels is None else torch.tensor(of.channels)
        self._x: Tensor = None
        self.weight_master: Master | None = None
        self.bias_master: Master | None = None
        if of.channels != ():
            start = weights
            if self._channels is not None:
                start = weights.index_select(of.axis, self._channels)
                if of.axis == 0:
                    weight_pace = weight_pace[self._channels]
            self.weight_master = Master(start, input_unit, of.layer_rate * weight_pace)
        if of.trains_bias:
            self.bias_master = Master(bias, 1.0, of.layer_rate * bias_pace)

    @property
    def trained(self) -> bool:
        """Whether anything of it trains."""
        return self.weight_master is not None or self.bias_master is not None

    def sums(self, x: Tensor) -> Tensor:
        """[N, H, W, O] from [N, H, W, I]."""
        if self._matrix is not None:
            self._x = x.reshape(-1, x.shape[3])
            flat = torch.addmm(self._bias, self._x, self._matrix.t())
            return flat.reshape(*x.shape[:3], -1)
        self._x = x.permute(0, 3, 1, 2)
        if self._around is not None:
            self._x = F.pad(self._x, self._around)
        y = F.conv2d(
            *(self._x, self._weights, self._bias, self._strides),
            *(self._padding, self._dilation, self._groups),
        )
        return y.permute(0, 2, 3, 1)

    def gradients(self, g: Tensor, input_wanted: bool) -> Tensor | None:
        """Leaves the sums of the masters, and gives the gradient of the input if it is wanted.

        Args:
            g: [N, H, W, O] of the real value of the sums.
        """
        if self.bias_master is not None:
            self.bias_master.sums = g.sum((0, 1, 2))
        if self._matrix is not None:
            return self._pointwise(g, input_wanted)
        weights_wanted = self.weight_master is not None
        if not (input_wanted or weights_wanted):
            return None
        upstream = g.permute(0, 3, 1, 2)
        dx, _, _ = torch.ops.aten.convolution_backward(
            *(self._in_real(g).permute(0, 3, 1, 2), self._x, self._weights, None),
            *(self._strides, self._padding, self._dilation, False, [0, 0], self._groups),
            [input_wanted, False, False],
        )
        if self.weight_master is not None:
            _, dw, _ = torch.ops.aten.convolution_backward(
                *(upstream, self._x, self._weights, None),
                *(self._strides, self._padding, self._dilation, False, [0, 0], self._groups),
                [False, True, False],
            )
            if self._channels is not None:
                dw = dw.index_select(self._axis, self._channels)
            self.weight_master.sums = dw
        if not input_wanted:
            return None
        dx = dx.permute(0, 2, 3, 1)
        if self._around is not None:
            left, right, top, bottom = self._around
            dx = dx[:, top : dx.shape[1] - bottom, left : dx.shape[2] - right]
        return dx

    def _pointwise(self, g: Tensor, input_wanted: bool) -> Tensor | None:
        rows = g.reshape(-1, g.shape[3])
        if self.weight_master is not None:
            x = self._x if self._channels is None else self._x.index_select(1, self._channels)
            self.weight_master.sums = (rows.t() @ x)[:, :, None, None]
        if not input_wanted:
            return None
        dx = self._in_real(rows) @ self._matrix
        return dx.reshape(*g.shape[:3], -1)

    def _in_real(self, g: Tensor) -> Tensor:
        """`g` times the unit of the weights, so that its product with them is real."""
        return g if self._weight_unit is None else g * self._weight_unit

    def update(self, rate: float, motion: Motion) -> None:
        """Moves the masters, and shows the forward pass what it is to read of them."""
        if self.weight_master is not None:
            self.weight_master.move(rate, motion.momentum, motion.decay)
            shown = self.shown_weights(self.weight_master.value)
            if self._channels is None:
                self._weights.copy_(shown)
            else:
                self._weights.index_copy_(self._axis, self._channels, shown)
        if self.bias_master is not None:
            self.bias_master.move(rate, motion.momentum)
            self._bias.copy_(self.shown_bias(self.bias_master.value))

    def shown_weights(self, master: Tensor) -> Tensor:
        """What the forward pass reads of the masters of weights."""
        return master

    def shown_bias(self, master: Tensor) -> Tensor:
        """What the forward pass reads of the master of the bias."""
        return master
