"""The table of evaluations: what the reference computes for each operation.

The modules `evaluate_*` fill it; `interpret.Machine` reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from tinytrain.ir.graph import Node

Result = np.ndarray | tuple[np.ndarray, ...]
Evaluate = Callable[..., Result]
"""Gets the machine, the node and the array of each input; gives the outputs, one as it is."""

EVALUATE: dict[str, Evaluate] = {}
_E = TypeVar("_E", bound=Evaluate)


def evaluates(op: str) -> Callable[[_E], _E]:
    """Decorator: enters the evaluation of an operation into the table."""

    def enter(function: _E) -> _E:
        EVALUATE[op] = function
        return function

    return enter


def conv_geometry(node: Node) -> dict[str, Any]:
    """Keyword arguments of a convolution and its gradients."""
    return {key: node.attrs[key] for key in ("strides", "padding", "dilation", "groups")}


def pool_geometry(node: Node) -> dict[str, Any]:
    """Keyword arguments of a pooling and its gradient."""
    return {key: node.attrs[key] for key in ("strides", "padding")}
