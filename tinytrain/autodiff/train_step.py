"""Makes the training graph: forward, loss, backward, sums of every parameter's gradient.

The updates are added by `passes.update`, so that a graph without them can be checked against other
derivatives.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from tinytrain.autodiff.backward import Sweep
from tinytrain.errors import ModelError, UsageError
from tinytrain.ir.build import GraphBuilder
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.types import DType, TensorType

LOSSES = ("cross_entropy", "mean_squared_error")


def build_training_graph(
    graph: Graph, *, loss: str, gradient: DType, smoothing: float = 0.0
) -> Graph:
    """Differentiates the loss of a forward graph with respect to its parameters.

    Args:
        graph: s8 forward graph whose only output is s8 or s32.
        loss: one of `LOSSES`.
        gradient: dtype of the gradients.
        smoothing: of the labels of a cross-entropy, 0 to below 1.

    Returns:
        the graph with loss and backward nodes; its outputs are (loss f32 [1], network output f32
        [1,N]) and then its `gradients`, the dW or dB of each parameter.

    Raises:
        UsageError: the loss is unknown or nothing is trained.
        ModelError: an operation behind a trained layer has no derivative.
    """
    if loss not in LOSSES:
        raise UsageError(f"unknown loss '{loss}'", help=f"use one of {', '.join(LOSSES)}")
    if not graph.parameters:
        raise UsageError("the update scheme trains nothing", help="name a layer in the scheme")
    builder = GraphBuilder(_with_winners(graph))
    (output,) = builder.outputs
    if loss == "cross_entropy" and math.prod(output.type.shape[1:-1]) > 1:
        raise ModelError(
            f"the model gives a map of {'x'.join(map(str, output.type.shape[1:-1]))} outputs; "
            "cross-entropy takes one vector of logits",
            help="end the model with a global pooling, or train with --loss mean_squared_error",
        )
    flat = TensorType((1, output.type.size), DType.F32)
    forward_end = len(builder.nodes)
    (real,) = builder.node(
        "dequantize",
        [output],
        [replace(flat, shape=output.type.shape)],
        name="output",
        layer="loss",
    )
    if real.type.shape != flat.shape:
        (real,) = builder.node("reshape", [real], [flat], name="output_flat", layer="loss")
    if loss == "cross_entropy":
        target = builder.input("label", TensorType((1,), DType.S32))
        op = "softmax_cross_entropy"
    else:
        target = builder.input("target", flat)
        op = "mean_squared_error"
    builder.target = target
    types = [TensorType((1,), DType.F32), flat]
    attrs: dict[str, Any] = {"smoothing": smoothing} if smoothing else {}
    value, slope = builder.node(op, [real, target], types, name="loss", layer="loss", **attrs)
    type_ = TensorType(flat.shape, gradient, None, None if gradient is DType.F32 else "loss_e")
    (seed,) = builder.node(
        "quantize_gradient", [slope], [type_], name="loss_gradient", layer="loss"
    )
    if seed.type.shape != output.type.shape:
        shape = replace(type_, shape=output.type.shape)
        (seed,) = builder.node("reshape", [seed], [shape], name="loss_gradient_map", layer="loss")
    tail = builder.nodes[forward_end:]
    builder.nodes[forward_end:] = []
    sweep = Sweep(builder, gradient)
    forward = tuple(builder.nodes)
    sums = sweep.run(output, seed)
    builder.nodes[len(forward) : len(forward)] = tail
    builder.outputs = [value, real, *sums.values()]
    builder.gradients = dict(sums)
    return builder.build()


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
