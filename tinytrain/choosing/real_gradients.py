"""Integer gradients as real numbers, and their sums, with the same bits on every machine."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tinytrain.ir.graph import Node, Value
from tinytrain.ir.types import DType
from tinytrain.reference.lowering import scale_of


def unit_of(g: Value, exponents: Mapping[str, int], normaliser: int) -> float:
    """What the gradient of an activation counts in; 1 where it is real.

    Args:
        exponents: E of each scale in that step.
        normaliser: n of that step.
    """
    if g.type.dtype is DType.F32:
        return 1.0
    return 2.0 ** (exponents.get(g.type.exponent or "", 0) + normaliser)


def gradient_of(node: Node, known: Mapping[Value, np.ndarray], unit: float) -> np.ndarray:
    """The gradient of weights or of a bias that the sum of a sample holds.

    Args:
        node: the sum, dW or dB.
        unit: of the gradient that it sums.
    """
    scale = 1.0 if node.op == "bias_grad" else scale_of(node.inputs[0])
    return known[node.output] * (scale * unit)


def ordered_sum(values: np.ndarray) -> float:
    """In order, so that the last digit is the same on every machine; 0 of nothing."""
    return float(np.cumsum(values.ravel())[-1]) if values.size else 0.0
