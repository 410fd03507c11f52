"""Adds the updates: plain SGD with quantization-aware scaling folded into its constants.

QAS multiplies the gradient with respect to an integer weight by s_w^-2; with gradients in the real
domain that is a step of rate·dW·s_x/s_w on the integer (docs/arithmetic.md section 6), so it costs
nothing on the device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinytrain.ir.build import GraphBuilder
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.types import DType

RULES = ("nearest", "stochastic")
FRACTION_BITS = (0, 2, 4, 8)


@dataclass(frozen=True)
class Update:
    """Every sum becomes an update of its parameter.

    Attributes:
        sums: from `TrainingGraph`.
        fractions: for each trained weight its fractional bits, where it has any.
        rule: one of `RULES`.
        fraction_bits: one of `FRACTION_BITS`.
    """

    sums: Mapping[Value, Value]
    fractions: Mapping[Value, Value]
    rule: str
    fraction_bits: int
    name: str = "update"

    def __call__(self, graph: Graph) -> Graph:
        builder = GraphBuilder(graph)
        builder.outputs = [value for value in graph.outputs if value not in set(self.sums.values())]
        builder.nodes = []
        parameter_of = {total: parameter for parameter, total in self.sums.items()}
        input_scale = self._input_scales(graph)
        for node in graph.nodes:
            builder.nodes.append(node)
            parameter = parameter_of.get(node.outputs[0])
            if parameter is not None:
                self._update(builder, node, parameter, input_scale[node.layer])
        return builder.build()

    def _update(self, builder: GraphBuilder, node: Node, parameter: Value, scale: float) -> None:
        total = node.output
        is_bias = parameter.type.dtype is DType.S32
        trained = [parameter]
        if not is_bias and self.fraction_bits:
            trained.append(self.fractions[parameter])
        outputs = builder.node(
            "sgd_bias" if is_bias else "sgd_weight",
            [total, *trained],
            [value.type for value in trained],
            name=f"{parameter.name}_new",
            layer=node.layer,
            where=node.where,
            fraction_bits=0 if is_bias else self.fraction_bits,
            rule=self.rule,
            exponent=total.type.exponent or "",
            input_scale=scale,
        )
        builder.updates.update(zip(trained, outputs, strict=True))

    def _input_scales(self, graph: Graph) -> dict[str, float]:
        scales = {}
        for node in graph.nodes:
            if node.op == "conv2d" and node.inputs[0].type.quantization is not None:
                scales[node.layer] = node.inputs[0].type.quantization.scale[0]
        return scales
