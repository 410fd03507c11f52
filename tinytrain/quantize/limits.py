"""What a model must keep to so that its numbers fit the kernels: scales, their ratios, extents."""

from __future__ import annotations

from collections.abc import Iterator

from tinytrain.errors import ModelError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.types import DType

LARGEST_SCALE = 2.0**30
LEAST_SCALE = 2.0**-30
"""Of an activation. Nothing real is quantized beyond 1e9 or below 1e-9, and with these bounds every
product and ratio of scales is a normal f32."""
LEAST_WEIGHT_SCALE = 2.0**-60
"""Of weights. 127 steps of it are 1e-16: weights below that are zero for every purpose."""

_LARGEST_EXTENT = 65_535
_LARGEST_FACTOR = 2.0**30
_SCALED = ("add", "multiply", "avg_pool2d")
_WINDOWED = ("conv2d", "dense", "max_pool2d", "avg_pool2d")


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
        for value in (*node.inputs, *node.outputs):
            extents = value.type.shape
            if (
                node.op in _WINDOWED
                and value not in graph.constants
                and max(extents) > _LARGEST_EXTENT
            ):
                raise ModelError(
                    f"'{node.op}' has a map of {'x'.join(map(str, extents))}; kernels count to "
                    f"{_LARGEST_EXTENT} in each direction",
                    where=node.where,
                    help="take a smaller input, or pool before this layer",
                )
        if node.op in _SCALED and _factor(node) >= _LARGEST_FACTOR:
            raise ModelError(
                f"the scales of what '{node.op}' reads and of what it writes are too far apart",
                where=node.where,
                help="quantize the model again with calibration data like the real ones",
            )


def _factor(node: Node) -> float:
    """The largest real factor that the kernel of a node multiplies with."""
    scales = [_scale(value) for value in node.inputs]
    output = _scale(node.output)
    if node.op == "add":
        return 2.0 * max(scales) / (2.0**20 * output)
    if node.op == "multiply":
        return scales[0] * scales[1] / output
    return scales[0] / output


def _scale(value: Value) -> float:
    return value.type.quantization.scale[0] if value.type.quantization else 1.0


def _values(graph: Graph) -> Iterator[tuple[Node, Value]]:
    for node in graph.nodes:
        for value in (*node.inputs, *node.outputs):
            if value.type.dtype is not DType.F32:
                yield node, value
