"""Makes the training graph: forward, loss, backward, sums of every parameter's gradient.

The updates are added by `passes.update`, so that a graph without them can be checked against other
derivatives.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from tinytrain.autodiff.backward import Sweep
from tinytrain.autodiff.heads import check_head
from tinytrain.errors import UsageError
from tinytrain.ir.build import GraphBuilder
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.types import DType, TensorType
from tinytrain.losses import LOSSES, SampleTarget, target_of


@dataclass(frozen=True)
class Loss:
    """What a training step makes smaller.

    Attributes:
        kind: one of `LOSSES`.
        smoothing: share of the target that a cross-entropy spreads over all classes, an f32 from 0
            to below 1.
        class_weights: what a sample of each class, or a positive of each label, counts for, f32
            values above 0; `BALANCED` counts on the device how often each class comes; None weighs
            nothing.
    """

    kind: str
    smoothing: float = 0.0
    class_weights: tuple[float, ...] | str | None = None


@dataclass(frozen=True)
class Differentiate:
    """Differentiates the loss of an s8 forward graph, whose only output is s8 or s32.

    The graph that comes out has outputs (loss f32 [1], network output f32 [1,N]) and then its
    `gradients`, the dW or dB of each parameter, one for each layer that reads it.

    Attributes:
        loss: what is differentiated.
        gradient: dtype of the gradients.
        trains: whether there has to be a parameter; else the loss is added alone.

    Raises:
        UsageError: the loss is unknown or nothing is trained.
        ModelError: the loss cannot train what the graph ends in, or an operation behind a trained
            layer has no derivative.
    """

    loss: Loss
    gradient: DType
    trains: bool = True
    name: ClassVar[str] = "differentiate"
    summary: ClassVar[str] = (
        "adds the loss and the backward nodes: a sum of gradients for each parameter"
    )

    def __call__(self, graph: Graph) -> Graph:
        self._check(graph)
        builder = GraphBuilder(_with_winners(graph))
        (output,) = builder.outputs
        forward_end = len(builder.nodes)
        value, real, slope = self._add_loss(builder, output)
        seed = self._seed(builder, slope, output)
        # The backward nodes go before the loss's own while the sweep appends them.
        tail = builder.nodes[forward_end:]
        del builder.nodes[forward_end:]
        sweep = Sweep(builder, self.gradient)
        forward_end = len(builder.nodes)
        sums = sweep.run(output, seed)
        builder.nodes[forward_end:forward_end] = tail
        builder.outputs = [value, real, *(total for found in sums.values() for total in found)]
        builder.gradients = sums
        return builder.build()

    def _check(self, graph: Graph) -> None:
        if self.loss.kind not in LOSSES:
            raise UsageError(
                f"unknown loss '{self.loss.kind}'", help=f"use one of {', '.join(LOSSES)}"
            )
        if self.trains and not graph.parameters:
            raise UsageError("the update scheme trains nothing", help="name a layer in the scheme")
        check_head(graph, self.loss.kind)
        output = graph.outputs[0].type
        if self.loss.smoothing and output.size > output.shape[-1]:
            raise UsageError(
                "the labels of pixels are not smoothed",
                help="leave --label-smoothing out",
            )

    def _add_loss(self, builder: GraphBuilder, output: Value) -> tuple[Value, Value, Value]:
        """The loss, the real output, and the gradient of the loss by it."""
        flat = TensorType((1, output.type.size), DType.F32)
        (real,) = builder.node(
            "dequantize",
            [output],
            [replace(flat, shape=output.type.shape)],
            name="output",
            layer="loss",
        )
        if real.type.shape != flat.shape:
            (real,) = builder.node("reshape", [real], [flat], name="output_flat", layer="loss")
        shape = output.type.shape
        wants = target_of(self.loss.kind, output.type.size, shape[-1])
        if wants is SampleTarget.LABEL:
            builder.target = builder.input("label", TensorType((1,), DType.S32))
        elif wants is SampleTarget.PIXELS:
            pixels = output.type.size // shape[-1]
            builder.target = builder.input("labels", TensorType((pixels,), DType.U8))
        else:
            builder.target = builder.input("target", flat)
        smoothing = self.loss.smoothing
        attrs: dict[str, Any] = {"smoothing": smoothing} if smoothing else {}
        if self.loss.class_weights is not None:
            attrs["class_weights"] = self.loss.class_weights
        types = [TensorType((1,), DType.F32), flat]
        inputs = [real, builder.target]
        value, slope = builder.node(
            LOSSES[self.loss.kind].ops[wants], inputs, types, name="loss", layer="loss", **attrs
        )
        return value, real, slope

    def _seed(self, builder: GraphBuilder, slope: Value, output: Value) -> Value:
        """The gradient by the integer output, which the sweep begins with."""
        exponent = None if self.gradient is DType.F32 else "loss_e"
        type_ = TensorType(slope.type.shape, self.gradient, None, exponent)
        (seed,) = builder.node(
            "quantize_gradient", [slope], [type_], name="loss_gradient", layer="loss"
        )
        if seed.type.shape != output.type.shape:
            shape = replace(type_, shape=output.type.shape)
            (seed,) = builder.node(
                "reshape", [seed], [shape], name="loss_gradient_map", layer="loss"
            )
        return seed


def _with_winners(graph: Graph) -> Graph:
    """Max pooling behind a trained layer remembers which element won."""
    reached = set(graph.parameters)
    nodes: list[Node] = []
    for node in graph.nodes:
        if any(value in reached for value in node.inputs):
            reached.update(node.outputs)
            if node.op == "max_pool2d":
                winner = Value(f"{node.name}_winner", TensorType(node.output.type.shape, DType.U8))
                node = replace(node, op="max_pool2d_winner", outputs=(node.output, winner))
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))
