"""Rewrites the words of the vocabulary into the fewer that the graph has nodes for.

What leaves this step, beside `conv`, `dense`, `pool`, `concat`, `reshape`, `permute`, `slice`,
`repeat`, `softmax`, `pad`, `quantize` and `dequantize` as they were:

    add, multiply, subtract, divide, maximum, minimum [a, b]
                   of two activations; of an activation and a constant only add and multiply
    clip        [x] low high                  relu, relu6, clips, and maxima with a constant
    activation  [x] function alpha beta       every other function of one number

Constants stand on the right. Sums and products that do nothing are gone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinytrain.frontend.lower.pools import reduce
from tinytrain.frontend.lower.rewrite import Rewriter, RewriteRule
from tinytrain.frontend.program import Call, Const, Program
from tinytrain.frontend.refusals import PADDING_HELP


def _subtract(rewriter: Rewriter, call: Call) -> Call:
    a, b = call.args
    if isinstance(b, Const):
        call.args = [a, Const(-np.asarray(b.real(), dtype=np.float64))]
        call.op = "add"
        return _with_constant(rewriter, call)
    if isinstance(a, Const):
        # c - x is -1 * x + c.
        minus = rewriter.like(call, "multiply", [b, Const(np.full((), -1.0))])
        call.op, call.args = "add", [minus, a]
        return _with_constant(rewriter, call)
    return rewriter.emit(call)


def _divide(rewriter: Rewriter, call: Call) -> Call:
    a, b = call.args
    if isinstance(b, Call):
        if isinstance(a, Const):
            inverse = rewriter.like(
                call, "activation", [b], function="reciprocal", alpha=0.0, beta=0.0
            )
            call.op, call.args = "multiply", [inverse, a]
            return _with_constant(rewriter, call)
        return rewriter.emit(call)
    if not np.all(b.real()):
        raise rewriter.error(call, "a division by zero", "export the model again")
    call.args = [a, Const(1.0 / np.asarray(b.real(), dtype=np.float64))]
    call.op = "multiply"
    return _with_constant(rewriter, call)


def _with_constant(rewriter: Rewriter, call: Call) -> Call:
    """Constants go to the right; additions and multiplications that do nothing go away."""
    if isinstance(call.args[0], Const):
        call.args = [call.args[1], call.args[0]]
    const = call.args[1]
    if isinstance(const, Const) and call.shape == call.source().shape:
        neutral = 0.0 if call.op == "add" else 1.0
        if np.all(const.real() == neutral) and not _is_bias(rewriter, call, const):
            source = call.source()
            source.tensor = source.tensor or call.tensor
            return source
    return rewriter.emit(call)


def _is_bias(rewriter: Rewriter, call: Call, const: Const) -> bool:
    """Whether a sum is the bias of a layer: one of zeros trains like any other, and has a name."""
    layer = call.source()
    is_layer = layer.op in ("conv", "dense") and rewriter.only(layer)
    return call.op == "add" and is_layer and const.source is not None


def _extremum(lower: bool) -> RewriteRule:
    def rule(rewriter: Rewriter, call: Call) -> Call:
        if isinstance(call.args[0], Const):
            call.args = [call.args[1], call.args[0]]
        other = call.args[1]
        if not isinstance(other, Const):
            return rewriter.emit(call) if lower else _smaller(rewriter, call)
        bounds = np.unique(other.real())
        if bounds.size != 1:
            raise rewriter.error(
                call,
                f"a {call.op} with a constant that varies from element to element is not supported",
                "compare with one number, or with another activation",
            )
        bound = float(bounds[0])
        return emit_clip(
            rewriter, call, bound if lower else -math.inf, math.inf if lower else bound
        )

    return rule


def _smaller(rewriter: Rewriter, call: Call) -> Call:
    """A minimum of integers: what is negated has scales, too, and their zero points negated."""
    sources = [call.source(number) for number in (0, 1)]
    reader = rewriter.reader(call)
    quantized = all(source.op == "dequantize" for source in sources)
    if not quantized or reader is None or reader.op != "quantize":
        return rewriter.emit(call)
    call.tensor = None  # it is rounded before the file rounds it
    negated: list[Call | Const] = [_negated(rewriter, call, x, x.attrs) for x in sources]
    larger = rewriter.like(call, "maximum", negated)
    scale, zero = reader.attrs["scale"], reader.attrs["zero_point"]
    larger = _requantized(rewriter, call, larger, scale=scale, zero_point=-1 - zero)
    return rewriter.like(call, "activation", [larger], function="linear", alpha=-1.0, beta=0.0)


def _negated(rewriter: Rewriter, call: Call, x: Call, meaning: Mapping[str, Any]) -> Call:
    """-x as integers: each with all of its bits flipped, which is exact."""
    minus = rewriter.like(call, "activation", [x], function="linear", alpha=-1.0, beta=0.0)
    zero = -1 - meaning["zero_point"]
    return _requantized(rewriter, call, minus, scale=meaning["scale"], zero_point=zero)


_BOUNDS = {"relu": (0.0, math.inf), "relu6": (0.0, 6.0)}


def _unary(rewriter: Rewriter, call: Call) -> Call:
    function = call.attrs["function"]
    if function == "clip":
        return emit_clip(rewriter, call, call.attrs["alpha"], call.attrs["beta"])
    if function in _BOUNDS:
        return emit_clip(rewriter, call, *_BOUNDS[function])
    if function == "linear":
        scaled = rewriter.like(
            call, "multiply", [call.source(), Const(np.full((), call.attrs["alpha"]))]
        )
        call.op, call.args = "add", [scaled, Const(np.full((), call.attrs["beta"]))]
        return _with_constant(rewriter, call)
    return rewriter.like(call, "activation", [call.source()], **call.attrs)


def emit_clip(rewriter: Rewriter, call: Call, low: float, high: float) -> Call:
    """max(low, min(high, x)), joined with a clip before it."""
    source = call.source()
    if source.op == "clip":
        # clip(clip(x, a, b), c, d) is clip(x, max(a, c), min(b, d)) when the ranges overlap.
        inner_low, inner_high = source.attrs["low"], source.attrs["high"]
        if max(low, inner_low) <= min(high, inner_high):
            low, high, source = max(low, inner_low), min(high, inner_high), source.source()
    if low == -math.inf and high == math.inf:
        return source
    return rewriter.like(call, "clip", [source], low=low, high=high)


def _pad(rewriter: Rewriter, call: Call) -> Call:
    if not any(any(pair) for pair in call.attrs["widths"]):
        return call.source()
    if call.attrs["value"] != 0.0:
        raise rewriter.error(
            call,
            f"padding with {call.attrs['value']:g} is not supported",
            PADDING_HELP,
        )
    return rewriter.emit(call)


_AT_END = frozenset({"reshape", "permute", "quantize", "dequantize", "argmax"})
"""What may stand behind the softmax of a classifier."""


def _check_at_end(rewriter: Rewriter, call: Call) -> None:
    end = rewriter.program.output
    while end is not call and end.op in _AT_END:
        end = end.source()
    if end is not call:
        raise rewriter.error(
            call,
            "a softmax inside of the model is not supported",
            "use softmax only as the last step of a classifier; a sigmoid can weigh features",
        )


def _softmax(rewriter: Rewriter, call: Call) -> Call:
    _check_at_end(rewriter, call)
    return rewriter.emit(call)


def _log_softmax(rewriter: Rewriter, call: Call) -> Call:
    _check_at_end(rewriter, call)
    # Over logits both are left out of what runs: the loss works on the logits themselves.
    # It is no longer what the file computes there, nor are the integers that stand for it.
    behind = [call]
    for item in behind:
        item.tensor = None
        readers = (user for user in rewriter.program.calls if item in user.args)
        behind += [user for user in readers if user.op in ("quantize", "dequantize", "reshape")]
    return rewriter.like(call, "softmax", [call.source()], **call.attrs)


def _prelu(rewriter: Rewriter, call: Call) -> Call:
    """max(x, 0) + slope * min(x, 0); one table where all channels have one slope."""
    slope, x = call.args[1], call.source()
    assert isinstance(slope, Const)
    values = np.asarray(slope.real(), dtype=np.float64).reshape(-1)
    if np.unique(values).size == 1:
        return rewriter.like(
            call, "activation", [x], function="leaky_relu", alpha=float(values[0]), beta=0.0
        )
    extents = [1] * len(call.shape)
    extents[call.attrs["channel_axis"]] = values.size
    above = rewriter.like(call, "clip", [x], low=0.0, high=math.inf)
    below = rewriter.like(call, "clip", [x], low=-math.inf, high=0.0)
    if x.op == "dequantize":
        # Of a quantized model the pieces need scales, too: that of x, and one for the products.
        below = _requantized(rewriter, call, below, **x.attrs)
        scale = x.attrs["scale"] * float(np.abs(values).max()) * 255 / 127
        scaled = rewriter.like(call, "multiply", [below, Const(values.reshape(extents))])
        scaled = _requantized(rewriter, call, scaled, scale=scale, zero_point=0)
    else:
        scaled = rewriter.like(call, "multiply", [below, Const(values.reshape(extents))])
    return rewriter.like(call, "add", [above, scaled])


def _requantized(rewriter: Rewriter, call: Call, x: Call, *, scale: float, zero_point: int) -> Call:
    scale = float(np.float32(scale))
    integers = rewriter.like(call, "quantize", [x], scale=scale, zero_point=zero_point)
    integers.dtype = "int8"
    return rewriter.like(call, "dequantize", [integers], scale=scale, zero_point=zero_point)


def _argmax(rewriter: Rewriter, call: Call) -> Call:
    if call is not rewriter.program.output:
        raise rewriter.error(
            call,
            "an argmax is only supported as the last step of a classifier",
            "end the model at its logits; the device tells the predicted class itself",
        )
    rewriter.program.notes.append(
        "the argmax at the end was left out: the model ends in its logits"
    )
    return call.source()


_RULES: dict[str, RewriteRule] = {
    "add": _with_constant,
    "multiply": _with_constant,
    "subtract": _subtract,
    "divide": _divide,
    "maximum": _extremum(lower=True),
    "minimum": _extremum(lower=False),
    "unary": _unary,
    "reduce": reduce,
    "pad": _pad,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "argmax": _argmax,
    "prelu": _prelu,
}


def find_layers(program: Program) -> Program:
    """Rewrites a program into the calls listed above.

    Raises:
        ModelError: a combination of operations and constants that tinytrain does not support.
    """
    return Rewriter(program, _RULES).run()
