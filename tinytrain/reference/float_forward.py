"""Evaluates a graph with f32 values in NumPy: for calibration, and to check what was imported.

Where integers are made, they are exact; everything else is ordinary floating point, whose last bits
depend on the order of summation. What each operation computes stands in the table of `evaluation`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.types import DType
from tinytrain.reference import (
    evaluate_convolution,  # noqa: F401  (fills the table)
    evaluate_elementwise,  # noqa: F401  (fills the table)
    evaluate_layout,  # noqa: F401  (fills the table)
    evaluate_loss,  # noqa: F401  (fills the table)
    evaluate_normalize,  # noqa: F401  (fills the table)
    evaluate_pooling,  # noqa: F401  (fills the table)
)
from tinytrain.reference.evaluation import FLOAT_FORMS, Arrays
from tinytrain.reference.lowering import quantization

Observe = Callable[[Value, np.ndarray], np.ndarray | None]
"""Sees each result as it is computed; what it gives, if anything, goes on in its place."""


def run_float(
    graph: Graph,
    inputs: Mapping[str, np.ndarray],
    *,
    dtype: type = np.float32,
    observe: Observe = lambda value, result: None,
    rounded: bool = True,
) -> dict[Value, np.ndarray]:
    """Evaluates every node.

    Args:
        graph: forward nodes with f32 values, `quantize` and `dequantize` included.
        inputs: by name, f32 [N, ...]: N samples where the type says 1, each on its own.
        dtype: of the arithmetic, np.float32 or np.float64; `dequantize` gives float32 in both.
        observe: called for every node.
        rounded: False leaves activations real where the graph quantizes them, within the range of
            their integers: what the graph means.

    Returns:
        every value, activations with N samples.

    Raises:
        InternalError: a node that is no forward node.
    """
    forms = FLOAT_FORMS if rounded else FLOAT_FORMS | _UNROUNDED
    known: dict[Value, np.ndarray] = {}
    for value in graph.inputs:
        known[value] = np.asarray(inputs[value.name], dtype=dtype)
    for value, data in (*graph.constants.items(), *graph.parameters.items()):
        known[value] = data.astype(dtype) if data.dtype == np.float32 else data
    for node in graph.nodes:
        form = forms.get(node.op)
        if form is None:
            raise InternalError(f"no floating-point evaluation of {node.op} ({node.name})")
        result = form(node, [known[value] for value in node.inputs])
        if node.output.type.dtype is DType.F32:
            result = result.astype(dtype, copy=False)
        instead = observe(node.output, result)
        known[node.output] = result if instead is None else instead
    return known


def _within_range(node: Node, inputs: Arrays) -> np.ndarray:
    meaning, (low, high) = quantization(node.output), node.output.type.dtype.limits
    scale, zero = meaning.scale[0], meaning.zero_point
    return np.clip(inputs[0], scale * (low - zero), scale * (high - zero))


def _real(node: Node, inputs: Arrays) -> np.ndarray:
    # Constants are integers still.
    is_real = inputs[0].dtype.kind == "f"
    return inputs[0] if is_real else FLOAT_FORMS["dequantize"](node, inputs)


_UNROUNDED = {"quantize": _within_range, "dequantize": _real}
