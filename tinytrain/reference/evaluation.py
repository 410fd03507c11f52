"""The table of evaluations: what the reference computes for each operation.

The modules `evaluate_*` fill it; `interpret.Machine` reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from tinytrain.ir.graph import Node
from tinytrain.ir.types import DType
from tinytrain.reference.lowering import Factors
from tinytrain.reference.machine import MachineState

Result = np.ndarray | tuple[np.ndarray, ...]
Evaluate = Callable[..., Result]
"""Gets the machine, the node and the array of each input; gives the outputs, one as it is."""

EVALUATE: dict[str, Evaluate] = {}
_E = TypeVar("_E", bound=Evaluate)

Arrays = list[np.ndarray]
FloatForm = Callable[[Node, Arrays], np.ndarray]
"""Gets the node and the array of each input, of N samples; gives the output."""

FLOAT_FORMS: dict[str, FloatForm] = {}


def evaluates(op: str) -> Callable[[_E], _E]:
    """Decorator: enters the evaluation of an operation into the table."""

    def enter(function: _E) -> _E:
        EVALUATE[op] = function
        return function

    return enter


def float_form(op: str) -> Callable[[FloatForm], FloatForm]:
    """Decorator: enters the floating-point evaluation of an operation into the table."""

    def enter(function: FloatForm) -> FloatForm:
        FLOAT_FORMS[op] = function
        return function

    return enter


def conv_geometry(node: Node) -> dict[str, Any]:
    """Keyword arguments of a convolution and its gradients."""
    return {key: node.attrs[key] for key in ("strides", "padding", "dilation", "groups")}


def pool_geometry(node: Node) -> dict[str, Any]:
    """Keyword arguments of a pooling and its gradient."""
    return {key: node.attrs[key] for key in ("strides", "padding")}


def factors_of(
    machine: MachineState, node: Node, make: Callable[[], Factors]
) -> tuple[np.ndarray, int]:
    """The factors of a gradient as its dtype takes them, and their shift."""
    found = machine.table(node, make)
    is_real = node.inputs[0].type.dtype is DType.F32
    return (found.real if is_real else found.integer), found.shift
