"""From a line of the generated C to its node, and from a node to a layer, a kind of work, MACs."""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tinytrain.ir.graph import Node

PARTS = ("forward", "input gradient", "weight gradient", "bias", "other")
"""`weight gradient` and `bias` hold the update too, which is one with it; `other` is what training
adds to the forward pass and to the gradients: masks, gathers, clamps and sums of gradients, the
loss, scales, and the code between the kernels."""


@dataclass(frozen=True)
class Comments:
    """Lines of a C file at which a node begins or, with the name "", a function ends."""

    file: str
    starts: list[int]
    names: list[str]

    def at(self, place: tuple[str, int]) -> str:
        """The node of a line of the source, "" outside of nodes."""
        file, line = place
        index = bisect.bisect_right(self.starts, line) - 1
        return self.names[index] if file == self.file and index >= 0 else ""

    def line_of(self, node: Node) -> int:
        """Index of the line behind a node's comment."""
        for name in (node.name, node.outputs[0].name):
            if name in self.names:
                return self.starts[self.names.index(name)]
        return 0


def read_comments(file: str, text: Sequence[str]) -> Comments:
    starts, names = [0], [""]
    for number, line in enumerate(text, 1):
        if found := re.match(r"    /\* (\w+): \w+ -> ", line):
            starts.append(number)
            names.append(found[1])
        elif line == "}":
            starts.append(number)
            names.append("")
    return Comments(file, starts, names)


def place_of(node: Node | None) -> tuple[str, str]:
    """(layer, part) of a node; the part is one of `PARTS`."""
    if node is None:
        return "step", "other"
    layer = node.layer or node.name
    if "grad_weight" in node.op:
        return layer, "weight gradient"
    if node.op.startswith("bias_grad"):
        return layer, "bias"
    if node.op.endswith("grad_input") or node.op in ("avg_pool2d_grad", "max_pool2d_grad"):
        return layer, "input gradient"
    if node.op in FORWARD:
        return layer, "forward"
    return layer, "other"


FORWARD = (
    *("conv2d", "add", "multiply", "avg_pool2d", "max_pool2d", "lookup", "concatenate", "slice"),
    *("reshape", "transpose", "dequantize", "quantize"),
)


def macs(node: Node) -> tuple[int, int]:
    """(nominal, those that meet the map) of a convolution or one of its gradients, else 0."""
    kernel = node.attrs.get("kernel") or (node.inputs[1].type.shape[1:3] if _is_conv(node) else ())
    if node.op == "conv2d":
        x, y = node.inputs[0].type.shape, node.outputs[0].type.shape
    elif node.op == "conv2d_grad_input":
        x, y = tuple(node.attrs["input_shape"]), node.inputs[0].type.shape
    elif node.op.startswith("conv2d_grad_weight"):
        x, y = node.inputs[0].type.shape, node.inputs[1].type.shape
    else:
        return 0, 0
    channels = y[3] * (x[3] // node.attrs["groups"])
    nominal = y[1] * y[2] * kernel[0] * kernel[1] * channels
    return nominal, _taps(node, 0, x, y, kernel) * _taps(node, 1, x, y, kernel) * channels


def _is_conv(node: Node) -> bool:
    return node.op in ("conv2d", "conv2d_grad_input")


def _taps(node: Node, axis: int, x: Sequence[int], y: Sequence[int], kernel: Sequence[int]) -> int:
    """Pairs of an output position and a tap that meet the map, along one axis."""
    stride, dilation = node.attrs["strides"][axis], node.attrs["dilation"][axis]
    before = node.attrs["padding"][axis]
    first = [o * stride - before for o in range(y[1 + axis])]
    reached = (start + k * dilation for start in first for k in range(kernel[axis]))
    return sum(0 <= position < x[1 + axis] for position in reached)
