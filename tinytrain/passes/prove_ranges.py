"""Proves the ranges that kernels rely on and do not check (tt_kernels.h, docs/arithmetic.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NoReturn

import numpy as np

from tinytrain.errors import ModelError
from tinytrain.ir.graph import Graph, Node
from tinytrain.ir.types import DType

MAX_EXTENT = 65_535  # tt_window holds 16 bits
MAX_PRODUCTS = 32_768
MAX_BIAS = 2**30
MAX_POSITIONS = {DType.S8: 66_311, DType.S16: 2**24, DType.F32: 2**24}
MAX_BIAS_POSITIONS = 65_536
MAX_WINDOW = 65_536
MAX_BROADCAST = 2**24


@dataclass(frozen=True)
class ProveRanges:
    """Changes nothing.

    Raises:
        ModelError: an extent, a window or a number of terms is beyond what a kernel can hold.
    """

    name: ClassVar[str] = "prove_ranges"
    summary: ClassVar[str] = (
        "proves that nothing overflows a kernel's sums and fields; changes nothing"
    )

    def __call__(self, graph: Graph) -> Graph:
        for node in graph.nodes:
            _extents(node)
            if node.op == "conv2d":
                _convolution(graph, node)
            elif node.op in ("conv2d_grad_weight", "conv2d_grad_weight_sgd"):
                _, height, width, _ = node.inputs[1].type.shape
                _at_most(
                    node, "positions", height * width, MAX_POSITIONS[node.inputs[1].type.dtype]
                )
            elif node.op in ("bias_grad", "bias_grad_sgd"):
                g = node.inputs[0].type
                _at_most(node, "positions", g.size // g.shape[-1], MAX_BIAS_POSITIONS)
            elif node.op == "avg_pool2d":
                _at_most(node, "elements in a window", math.prod(node.attrs["window"]), MAX_WINDOW)
            elif node.op == "multiply_grad_broadcast":
                _at_most(node, "terms in a sum", node.inputs[0].type.size, MAX_BROADCAST - 1)
        return graph


def _extents(node: Node) -> None:
    for value in (*node.inputs, *node.outputs):
        if len(value.type.shape) == 4:
            _at_most(node, "elements along one axis", max(value.type.shape), MAX_EXTENT)


def _convolution(graph: Graph, node: Node) -> None:
    _at_most(node, "products in a sum", math.prod(node.inputs[1].type.shape[1:]), MAX_PRODUCTS)
    bias = graph.data(node.inputs[2])
    if bias is not None and np.abs(bias.astype(np.int64)).max() > MAX_BIAS:
        _refuse(node, f"its bias is larger than {MAX_BIAS:,} units of its scale")


def _at_most(node: Node, what: str, found: int, limit: int) -> None:
    if found > limit:
        _refuse(node, f"it has {found:,} {what}, of which a kernel holds at most {limit:,}")


def _refuse(node: Node, why: str) -> NoReturn:
    raise ModelError(
        f"layer '{node.layer}' is too large for the kernels: {why}",
        where=node.where,
        help="take a smaller input or a narrower layer there, or freeze it if only training is "
        "concerned",
    )
