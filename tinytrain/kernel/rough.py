"""Rough instructions of nodes whose kernels have no cost: none of them is chosen by it."""

from __future__ import annotations

from collections.abc import Mapping

from tinytrain.ir.graph import Node

_PER_ELEMENT: Mapping[str, float] = {
    "softmax_cross_entropy": 90.0,
    "pixel_cross_entropy": 90.0,
    "binary_cross_entropy": 180.0,
    "quantize_gradient": 30.0,
    "apply_weight": 40.0,
    "adam_weight": 60.0,
}
"""Of the ones that take most. `softmax_cross_entropy` was counted on a Cortex-M7; the others are
estimates."""

_ANY = 12.0


def rough_cost(node: Node) -> float:
    """Instructions of a node, by the elements of its largest operand."""
    size = max(value.type.size for value in (*node.inputs, *node.outputs))
    return 100 + _PER_ELEMENT.get(node.op, _ANY) * size
