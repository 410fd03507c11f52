"""Finds hard-sigmoid and hard-swish in the clips, sums and products that exporters write."""

from __future__ import annotations

import math

import numpy as np

from tinytrain.frontend.lower.rewrite import Rewriter, RewriteRule
from tinytrain.frontend.program import Call, Const, Program


def find_activations(program: Program) -> Program:
    """The program with `activation` calls in place of these patterns, x being any activation:

        hard_sigmoid   clip(a * x + b, 0, 1)   and   k * clip(a * x + b, 0, 1 / k)
        hard_swish     x * hard_sigmoid(x, 1/6, 1/2)   and   (k * x) * clip(x + 3, 0, 6), 6 k = 1,
                       with the factor k in any place

    The constants are compared with a relative tolerance of 1e-5: exporters round them to float32.
    """
    return Rewriter(program, _RULES).run()


def number_of(arg: Call | Const) -> float | None:
    """The one number that a constant holds; None if it holds several, or is none."""
    if not isinstance(arg, Const):
        return None
    values = np.unique(arg.real())
    return float(values[0]) if values.size == 1 else None


def _linear(call: Call) -> tuple[Call, float, float]:
    """(x, a, b) such that the call computes a * x + b with numbers a and b."""
    scale, shift = 1.0, 0.0
    while call.op in ("add", "multiply") and len(call.args) == 2:
        number = number_of(call.args[1])
        if number is None or call.shape != call.source().shape:
            break
        if call.op == "add":
            shift += scale * number
        else:
            scale *= number
        call = call.source()
    return call, scale, shift


def _close(value: float, wanted: float) -> bool:
    return math.isclose(value, wanted, rel_tol=1e-5)


def _is_x_plus_3_clipped(call: Call, x: Call) -> bool:
    """True for clip(x + 3, 0, 6)."""
    if call.op != "clip" or call.attrs["low"] != 0.0 or call.attrs["high"] != 6.0:
        return False
    inner, scale, shift = _linear(call.source())
    return inner is x and _close(scale, 1.0) and _close(shift, 3.0)


def _clip(rewriter: Rewriter, call: Call) -> Call | None:
    if call.attrs["low"] != 0.0 or call.attrs["high"] != 1.0:
        return None
    x, alpha, beta = _linear(call.source())
    return rewriter.like(call, "activation", [x], function="hard_sigmoid", alpha=alpha, beta=beta)


def _multiply(rewriter: Rewriter, call: Call) -> Call | None:
    factor = number_of(call.args[1])
    if factor is not None:
        return _scaled(rewriter, call, call.source(), factor)
    if isinstance(call.args[1], Const):
        return None
    for left, right in (call.args, call.args[::-1]):
        assert isinstance(left, Call) and isinstance(right, Call)
        x, scale, shift = _linear(left)
        if right.op == "activation" and right.source() is left:
            gate = right.attrs
            if (
                gate["function"] == "hard_sigmoid"
                and _close(gate["alpha"], 1 / 6)
                and _close(gate["beta"], 0.5)
            ):
                return _swish(rewriter, call, left)
        if shift == 0.0 and _close(scale, 1 / 6) and _is_x_plus_3_clipped(right, x):
            return _swish(rewriter, call, x)
    return None


def _swish(rewriter: Rewriter, call: Call, x: Call) -> Call:
    return rewriter.like(call, "activation", [x], function="hard_swish", alpha=0.0, beta=0.0)


def _scaled(rewriter: Rewriter, call: Call, source: Call, factor: float) -> Call | None:
    from_zero = source.op == "clip" and source.attrs["low"] == 0.0
    if from_zero and _close(source.attrs["high"] * factor, 1.0):
        x, alpha, beta = _linear(source.source())
        return rewriter.like(
            call, "activation", [x], function="hard_sigmoid",
            alpha=alpha * factor, beta=beta * factor,
        )  # fmt: skip
    if source.op == "multiply" and _close(factor, 1 / 6):
        for left, right in (source.args, source.args[::-1]):
            if not isinstance(left, Call) or not isinstance(right, Call):
                continue
            if _is_x_plus_3_clipped(right, left):
                return _swish(rewriter, call, left)
    return None


_RULES: dict[str, RewriteRule] = {"clip": _clip, "multiply": _multiply}
