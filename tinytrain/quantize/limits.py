"""What a model must keep to so that its numbers fit the kernels: scales, their ratios, extents."""

from __future__ import annotations

from collections.abc import Iterator

from tinytrain.errors import ModelError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import traits_of
from tinytrain.ir.types import DType

LARGEST_SCALE = 2.0**30
LEAST_SCALE = 2.0**-30
"""Of an activation. Nothing real is quantized beyond 1e9 or below 1e-9, and with these bounds every
product and ratio of scales is a normal f32."""
LEAST_WEIGHT_SCALE = 2.0**-60
"""Of weights. 127 steps of it are 1e-16: weights below that are zero for every purpose."""

_LARGEST_EXTENT = 65_535
_LARGEST_FACTOR = 2.0**30


def check_scales(graph: Graph) -> None:
    """Every scale of a QDQ graph is a positive number of ordinary size.

    Raises:
        ModelError: names the node whose scale is not.
    """
    for node, value in _values(graph):
        meaning = value.type.quantization
        if meaning is None:
            continue
        constant = value in graph.constants
        least = 0.0 if constant else LEAST_SCALE
        for scale in meaning.scale:
            if not least <= scale <= LARGEST_SCALE or scale == 0:
                raise ModelError(
                    f"a scale of '{value.name}' is {scale:.6g}, which is no step between numbers"
                    if scale <= 0
                    else f"a scale of '{value.name}' is {scale:.6g}, beyond what can be computed",
                    where=node.where,
                    help="quantize the model again; a layer that only ever sees zeros, or "
                    "enormous numbers, in the calibration data gets such a scale",
                )


def check_kernels(graph: Graph) -> None:
    """Every layer of an s8 graph can be told to its kernel.

    Raises:
        ModelError: an extent above 65,535, or scales too far apart to be brought together.
    """
    for node in graph.nodes:
        traits = traits_of(node)
        for value in (*node.inputs, *node.outputs):
            extents = value.type.shape
            if (
                (traits.has_weights or traits.window is not None)
                and value not in graph.constants
                and max(extents) > _LARGEST_EXTENT
            ):
                raise ModelError(
                    f"'{node.op}' has a map of {'x'.join(map(str, extents))}; kernels count to "
                    f"{_LARGEST_EXTENT} in each direction",
                    where=node.where,
                    help="take a smaller input, or pool before this layer",
                )
        if traits.largest_factor is not None and traits.largest_factor(node) >= _LARGEST_FACTOR:
            raise ModelError(
                f"the scales of what '{node.op}' reads and of what it writes are too far apart",
                where=node.where,
                help="quantize the model again with calibration data like the real ones",
            )


def _values(graph: Graph) -> Iterator[tuple[Node, Value]]:
    for node in graph.nodes:
        for value in (*node.inputs, *node.outputs):
            if value.type.dtype is not DType.F32:
                yield node, value
