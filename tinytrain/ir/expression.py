"""Expressions of one number: small graphs of functions of one number, as one function.

An expression is a list of steps. Each reads x (0) or results of steps before it (k + 1 for step k);
the last one is its value. Its derivative is made of those of the steps, by the chain rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinytrain.ir.unary import UNARY

EXPRESSION = "expression"
"""Stands in the place of a function's name where the attribute `steps` holds a list of steps."""

Step = tuple[str, tuple[int, ...], float, float]
"""A row of `UNARY` or of `BINARY`, the numbers of what it reads, and alpha and beta."""

MOST_STEPS = 64


@dataclass(frozen=True)
class Binary:
    """A function of two numbers.

    Attributes:
        value: the function.
        slopes: its derivatives by both; at a kink the first has the whole of it.
    """

    value: Callable[[np.ndarray, np.ndarray], np.ndarray]
    slopes: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray | float, np.ndarray | float]]


BINARY: dict[str, Binary] = {
    "add": Binary(np.add, lambda a, b: (1.0, 1.0)),
    "subtract": Binary(np.subtract, lambda a, b: (1.0, -1.0)),
    "multiply": Binary(np.multiply, lambda a, b: (b, a)),
    "divide": Binary(np.true_divide, lambda a, b: (1.0 / b, -a / (b * b))),
    "maximum": Binary(np.maximum, lambda a, b: (a >= b, a < b)),
    "minimum": Binary(np.minimum, lambda a, b: (a <= b, a > b)),
}
"""By name."""


def is_sound(steps: Sequence[Step]) -> bool:
    """Whether each step reads what was there before it, and as much as its function takes."""
    return 0 < len(steps) <= MOST_STEPS and all(
        len(reads) == (1 if name in UNARY else 2 if name in BINARY else -1)
        and all(0 <= k <= place for k in reads)
        for place, (name, reads, _, _) in enumerate(steps)
    )


def value_and_slope(steps: Sequence[Step], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An expression and its derivative, element by element, in float64."""
    given = np.asarray(x, dtype=np.float64)
    known = [(given, np.ones_like(given))]
    with np.errstate(all="ignore"):
        for name, reads, alpha, beta in steps:
            (a, da), *second = (known[k] for k in reads)
            if not second:
                row = UNARY[name]
                value, slope = row.value(a, alpha, beta), _times(row.slope(a, alpha, beta), da)
            else:
                ((b, db),) = second
                left, right = BINARY[name].slopes(a, b)
                value = BINARY[name].value(a, b)
                slope = _times(left, da) + _times(right, db)
            known.append((np.asarray(value), slope))
    return known[-1]


def _times(outer: np.ndarray | float, inner: np.ndarray) -> np.ndarray:
    """The product, 0 where a factor is: what does not move moves nothing, however steep it is."""
    factor = np.asarray(outer, dtype=np.float64)
    return np.where((inner == 0.0) | (factor == 0.0), 0.0, factor * inner)


def curve_of(attrs: Mapping[str, Any], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The function of an `activation` and its derivative, in float64."""
    return value_and_slope(steps_of(attrs), x)


def steps_of(attrs: Mapping[str, Any]) -> tuple[Step, ...]:
    """The function of an `activation` as an expression."""
    if attrs["function"] == EXPRESSION:
        return tuple(attrs["steps"])
    return ((attrs["function"], (0,), float(attrs["alpha"]), float(attrs["beta"])),)


def jumps(attrs: Mapping[str, Any]) -> bool:
    """Whether the function of an `activation` has steps, so that it may part at their edges."""
    names = [step[0] for step in attrs["steps"]] if "steps" in attrs else [attrs["function"]]
    return any(name == "quantize" or (name in UNARY and UNARY[name].jumps) for name in names)


def name_of(attrs: Mapping[str, Any]) -> str:
    """What messages call the function of an `activation`."""
    if "steps" not in attrs:
        return str(attrs["function"])
    return "expression of " + ", ".join(dict.fromkeys(step[0] for step in attrs["steps"]))
