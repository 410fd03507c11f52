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
    return _normalized(rewriter, call, x, _length(divisor, x))


def _multiply(rewriter: Rewriter, call: Call) -> Call | None:
    """x * rsqrt(max(sum(x * x), epsilon)), as Keras writes it."""
    for x, factor in (call.args, call.args[::-1]):
        while isinstance(factor, Call) and factor.op == "repeat":
            (factor,) = factor.args
        if not isinstance(factor, Call) or factor.op != "unary":
            continue
        function = factor.attrs["function"]
        if function in ("rsqrt", "reciprocal"):
            found = _length(factor.args[0], x, is_square=function == "rsqrt")
            if found is not None:
                return _normalized(rewriter, call, x, found)
    return None


_STEPS = ("add", "maximum", "unary", "repeat", "reshape")
"""What may stand between a length, or its square, and the division by it."""


def _length(
    divisor: Call | Const, x: Call | Const, *, is_square: bool = False
) -> tuple[int, float] | None:
    """The axis of a length of x and the least that it is held above; None for anything else."""
    epsilon, shapes = 0.0, []
    while isinstance(divisor, Call) and divisor.op in _STEPS:
        if divisor.op == "unary" and divisor.attrs["function"] == "sqrt" and not is_square:
            is_square = True
        else:
            least = _least(divisor, is_square=is_square)
            if least is None:
                return None
            epsilon = max(epsilon, math.sqrt(max(least, 0.0)) if is_square else least)
        if divisor.op == "reshape":
            shapes.append(divisor.shape)
        divisor = next(arg for arg in divisor.args if isinstance(arg, Call))
    if not isinstance(divisor, Call) or divisor.op != "reduce":
        return None
    (source,), axes = divisor.args, divisor.attrs["axes"]
    kind, wanted = divisor.attrs["kind"], "sum" if is_square else "length"
    if kind != wanted or len(axes) != 1 or not (_squares(source, x) if is_square else source is x):
        return None
    kept = tuple(1 if k == axes[0] else n for k, n in enumerate(x.shape))
    seen = shapes or [divisor.shape]
    return (axes[0], epsilon) if all(shape == kept for shape in seen) else None


def _squares(source: Call | Const, x: Call | Const) -> bool:
    """Whether a call is x * x, element by element."""
    if not isinstance(source, Call):
        return False
    if source.op == "unary":
        return source.attrs["function"] == "square" and source.args[0] is x
    return source.op == "multiply" and all(arg is x for arg in source.args)


def _least(call: Call, *, is_square: bool) -> float | None:
    """What a call between a length and its division holds it above; None where it does more."""
    if call.op == "maximum" or (call.op == "add" and is_square):
        bounds = [np.unique(arg.real()) for arg in call.args if isinstance(arg, Const)]
        return float(bounds[0][0]) if len(bounds) == 1 and bounds[0].size == 1 else None
    if call.op == "unary":
        is_bound = call.attrs["function"] == "clip" and call.attrs["beta"] == math.inf
        return float(call.attrs["alpha"]) if is_bound else None
    return 0.0 if call.op != "add" else None


def _l2_normalize(rewriter: Rewriter, call: Call) -> Call | None:
    found = call.attrs["axis"], call.attrs["epsilon"]
    return _normalized(rewriter, call, call.args[0], found)


def _normalized(
    rewriter: Rewriter, call: Call, x: Call | Const, found: tuple[int, float] | None
) -> Call | None:
    if found is None or not isinstance(x, Call):
        return None
    axis, epsilon = found
    if epsilon > _LARGEST_EPSILON:
        raise rewriter.error(
            call,
            f"an L2 normalisation divides by {epsilon:g} at least, which is not supported",
            f"normalise with an epsilon of {_LARGEST_EPSILON:g} at most",
        )
    return rewriter.like(call, "l2_normalize", [x], axis=axis, epsilon=epsilon)


_RULES: dict[str, RewriteRule] = {
    "divide": _divide,
    "multiply": _multiply,
    "l2_normalize": _l2_normalize,
}


def find_lengths(program: Program) -> Program:
    """Writes each as one `l2_normalize`.

    Raises:
        ModelError: a least length that bounds vectors of ordinary size.
    """
    return Rewriter(program, _RULES).run()
