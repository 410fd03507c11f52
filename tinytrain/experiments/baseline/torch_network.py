"""The forward graph of a compiled model in PyTorch, with a backward pass of its own.

Autograd spends more time on its records than a step at batch 1 spends on arithmetic. So every
operation has a `forward` and a `backward`, and a network calls them in order.

Activations are float32 [N, H, W, C], what the graph's types call batch 1 being N samples.
Gradients are those of the real values, as in docs/arithmetic.md section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from tinytrain.errors import InternalError, UsageError
from tinytrain.experiments.baseline.torch_convolution import Convolution
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import loss_index, role_of, traits_of
from tinytrain.ir.ops import Role

Tensor = Any
"""A `torch.Tensor`; PyTorch is an extra, and not there for the type checker."""


class Operation(Protocol):
    """One node: what it computes, and from the gradient of its output those of its inputs."""

    def forward(self, *inputs: Tensor) -> Tensor:
        """The output; what `backward` needs is kept until the next call."""
        ...

    def backward(self, g: Tensor, wanted: Sequence[bool]) -> Sequence[Tensor | None]:
        """The gradient of each input, None where it is not wanted; `g` is left as it is."""
        ...


Make = Callable[[Graph, Node], Operation]

_READERS = (Role.FORWARD, Role.VIEW)


class Arithmetic(Protocol):
    """How a network computes.

    Attributes:
        operations: makes each operation of a forward graph.
        stored: torch dtype that an activation can be kept as without loss.
    """

    operations: Mapping[str, Make]
    stored: Any

    def enter(self, value: Value, integers: Tensor) -> Tensor:
        """The activation that s8 integers of `value` stand for."""
        ...

    def keep(self, value: Value, activation: Tensor) -> Tensor:
        """An activation as `stored`."""
        ...

    def take(self, value: Value, frozen: Tensor) -> Tensor:
        """The inverse of `keep`."""
        ...


@dataclass(frozen=True)
class _Placed:
    """An operation, and which of the network's values it reads and writes."""

    operation: Operation
    inputs: tuple[int, ...]
    output: int
    wanted: tuple[bool, ...]


class Network:
    """The nodes before the loss, those that depend on no trained parameter apart.

    Args:
        graph: a training graph.
        arithmetic: how it is computed.

    Attributes:
        frozen_outputs: of the frozen nodes, what the others read; the input, where nothing is
            frozen.
        has_frozen: whether any node is.
        layers: the convolutions that train, in order.

    Raises:
        UsageError: the graph moves the axis of the samples, or trains weights that layers share.
    """

    def __init__(self, graph: Graph, arithmetic: Arithmetic) -> None:
        _refuse_shared(graph)
        self._arithmetic = arithmetic
        end = loss_index(graph)
        forward = [node for node in graph.nodes[:end] if role_of(node) is Role.FORWARD]
        self._input = graph.inputs[0]
        self._places: dict[Value, int] = {self._input: 0}
        self._fixed: dict[int, Tensor] = {}
        reached = _reached(graph, end)
        self._frozen: list[_Placed] = []
        self._rest: list[_Placed] = []
        for node in forward:
            part = self._rest if node.outputs[0] in reached else self._frozen
            part.append(self._place(graph, node, reached))
        self._logits = self._places[graph.nodes[end].inputs[0]]
        made = {0, *(placed.output for placed in self._frozen)}
        read = {k for placed in self._rest for k in placed.inputs}
        self.frozen_outputs = [value for value, k in self._places.items() if k in made & read]
        self.has_frozen = bool(self._frozen)
        operations = [placed.operation for placed in self._rest]
        self.layers = [
            operation
            for operation in operations
            if isinstance(operation, Convolution) and operation.trained
        ]

    def _place(self, graph: Graph, node: Node, reached: set[Value]) -> _Placed:
        make = self._arithmetic.operations.get(node.op)
        if make is None:
            raise InternalError(f"no PyTorch form of {node.op} ({node.name})")
        output = node.outputs[0]
        if output.type.shape[0] != 1:
            raise UsageError(
                f"'{node.name}' moves the axis of the samples, which PyTorch computes several of",
                where=node.where,
                help="leave the first axis of every shape and permutation as it is",
            )
        # A convolution holds its weights itself.
        inputs = node.inputs[:1] if traits_of(node).has_weights else node.inputs
        for value in inputs:
            if value not in self._places:
                place = self._places[value] = len(self._places)
                data = torch.from_numpy(np.array(graph.constants[value]))
                self._fixed[place] = self._arithmetic.enter(value, data)
        places = tuple(self._places[value] for value in inputs)
        wanted = tuple(value in reached for value in inputs)
        self._places[output] = len(self._places)
        return _Placed(make(graph, node), places, self._places[output], wanted)

    def frozen(self, x: np.ndarray) -> Tensor:
        """The frozen activations of some samples.

        Args:
            x: int8 [N, ...], quantized as the input is.

        Returns:
            [N, elements of `frozen_outputs` together] of the arithmetic's `stored`.
        """
        found = self._run(self._frozen, {0: self._start(x)})
        return torch.cat(
            [
                self._arithmetic.keep(value, found[self._places[value]]).reshape(len(x), -1)
                for value in self.frozen_outputs
            ],
            dim=1,
        )

    def _start(self, x: np.ndarray) -> Tensor:
        integers = torch.from_numpy(np.ascontiguousarray(x))
        shape = (len(x), *self._input.type.shape[1:])
        return self._arithmetic.enter(self._input, integers.reshape(shape))

    def forward(self, frozen: Tensor) -> Tensor:
        """Logits [N, classes] of what `frozen` gave."""
        found: dict[int, Tensor] = {}
        start = 0
        for value in self.frozen_outputs:
            part = frozen[:, start : start + value.type.size]
            start += value.type.size
            shaped = part.reshape(len(frozen), *value.type.shape[1:])
            found[self._places[value]] = self._arithmetic.take(value, shaped)
        return self._run(self._rest, found)[self._logits].reshape(len(frozen), -1)

    def activations(self, x: np.ndarray) -> dict[Value, Tensor]:
        """Every activation of some samples, in the arithmetic's own form.

        Args:
            x: see `frozen`.
        """
        with torch.no_grad():
            found = self._run([*self._frozen, *self._rest], {0: self._start(x)})
        return {value: found[place] for value, place in self._places.items()}

    def backward(self, g: Tensor) -> None:
        """Leaves in every trained layer its gradient, from that of the last `forward`'s logits."""
        gradients = {self._logits: g}
        for placed in reversed(self._rest):
            upstream = gradients.pop(placed.output)
            found = placed.operation.backward(upstream, placed.wanted)
            for place, gradient in zip(placed.inputs, found, strict=True):
                if gradient is not None:
                    known = gradients.get(place)
                    gradients[place] = gradient if known is None else known + gradient

    def _run(self, nodes: Sequence[_Placed], found: dict[int, Tensor]) -> dict[int, Tensor]:
        found.update(self._fixed)
        for placed in nodes:
            found[placed.output] = placed.operation.forward(*[found[k] for k in placed.inputs])
        return found


def _refuse_shared(graph: Graph) -> None:
    users = graph.users()
    for parameter in graph.parameters:
        layers = {n.layer for n in users.get(parameter, ()) if role_of(n) in _READERS}
        if len(layers) > 1:
            raise UsageError(
                f"layers {', '.join(sorted(layers))} share weights or a bias, which the PyTorch "
                "baselines do not train together",
                help="leave the baselines out, or freeze these layers",
            )


def _reached(graph: Graph, end: int) -> set[Value]:
    """Values that depend on a parameter, among those of the first `end` nodes."""
    reached = set(graph.parameters)
    for node in graph.nodes[:end]:
        if not reached.isdisjoint(node.inputs):
            reached.update(node.outputs)
    return reached
