"""Finds L2 normalisations: a tensor divided by its own length, however a file writes it."""

from __future__ import annotations

import math

import numpy as np

from tinytrain.frontend.lower.rewrite import Rewriter, RewriteRule
from tinytrain.frontend.program import Call, Const, Program

_LARGEST_EPSILON = 1e-3
"""Of the least length that a file divides by: above it, ordinary vectors are not normalised."""


def _divide(rewriter: Rewriter, call: Call) -> Call | None:
    """x / max(length(x), epsilon), as `torch.nn.functional.normalize` is exported."""
    x, divisor = call.args
    epsilon, shapes = 0.0, []
    while isinstance(divisor, Call) and divisor.op in ("maximum", "unary", "repeat", "reshape"):
        if divisor.op == "reshape":
            shapes.append(divisor.shape)
        least = _least(divisor)
        if least is None:
            return None
        epsilon = max(epsilon, least)
        divisor = next(arg for arg in divisor.args if isinstance(arg, Call))
    if not isinstance(divisor, Call) or divisor.op != "reduce" or divisor.args[0] is not x:
        return None
    axes = divisor.attrs["axes"]
    if divisor.attrs["kind"] != "length" or len(axes) != 1 or not isinstance(x, Call):
        return None
    kept = tuple(1 if k == axes[0] else n for k, n in enumerate(x.shape))
    if any(shape != kept for shape in (*shapes, *(() if shapes else (divisor.shape,)))):
        return None
    return _normalized(rewriter, call, x, axes[0], epsilon)


def _least(call: Call) -> float | None:
    """What a call between a length and its division holds it above; None where it does more."""
    if call.op == "maximum":
        bounds = [np.unique(arg.real()) for arg in call.args if isinstance(arg, Const)]
        return float(bounds[0][0]) if len(bounds) == 1 and bounds[0].size == 1 else None
    if call.op == "unary":
        is_bound = call.attrs["function"] == "clip" and call.attrs["beta"] == math.inf
        return float(call.attrs["alpha"]) if is_bound else None
    return 0.0


def _l2_normalize(rewriter: Rewriter, call: Call) -> Call:
    return _normalized(rewriter, call, call.source(), call.attrs["axis"], call.attrs["epsilon"])


def _normalized(rewriter: Rewriter, call: Call, x: Call, axis: int, epsilon: float) -> Call:
    if epsilon > _LARGEST_EPSILON:
        raise rewriter.error(
            call,
            f"an L2 normalisation divides by {epsilon:g} at least, which is not supported",
            f"normalise with an epsilon of {_LARGEST_EPSILON:g} at most",
        )
    return rewriter.like(call, "l2_normalize", [x], axis=axis, epsilon=epsilon)


_RULES: dict[str, RewriteRule] = {"divide": _divide, "l2_normalize": _l2_normalize}


def find_lengths(program: Program) -> Program:
    """Writes each as one `l2_normalize`.

    Raises:
        ModelError: a least length that bounds vectors of ordinary size.
    """
    return Rewriter(program, _RULES).run()
