"""Proves the ranges that kernels rely on and do not check (tt_kernels.h, docs/arithmetic.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NoReturn

import numpy as np

from tinytrain.errors import ModelError
from tinytrain.ir.graph import Graph, Node
from tinytrain.ir.operations import traits_of

MAX_EXTENT = 65_535  # tt_window holds 16 bits
MAX_BIAS = 2**30


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
            traits = traits_of(node)
            if traits.terms is not None:
                terms = traits.terms
                _at_most(node, terms.what, terms.count(node), terms.most(node))
            if traits.has_weights:
                _bias(graph, node)
        return graph


def _extents(node: Node) -> None:
    for value in (*node.inputs, *node.outputs):
        if len(value.type.shape) == 4:
            _at_most(node, "elements along one axis", max(value.type.shape), MAX_EXTENT)


def _bias(graph: Graph, node: Node) -> None:
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
