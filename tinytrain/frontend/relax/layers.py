"""Rewrites calls into the layers that tinytrain knows: conv, dense, pool, activation and the like.

What exporters take apart is put together again here: a bias added after a convolution, a batch
normalisation (by then a multiplication and an addition), explicit padding, hard-swish and
hard-sigmoid written as clip and multiply.

The calls that leave this module are:

    conv        [x, w, b]  strides padding dilation groups channel_axis   w is OHWI
    dense       [x, w, b]                                                 w is [O, I]
    pool        [x]        kind window strides padding count_include_pad channel_axis
    add, multiply [a, b]   concat [...] axis   activation [x] function alpha beta
    reshape, permute_dims, softmax, quantize, dequantize
"""

from __future__ import annotations

import math

import numpy as np

from tinytrain.frontend.relax.calls import Call, Const, Program
from tinytrain.frontend.relax.fold import clip_bounds
from tinytrain.frontend.relax.pools import POOL_RULES
from tinytrain.frontend.relax.rewrite import Rewriter, RewriteRule, view

_ALIASES = {
    "squeeze": "reshape",
    "expand_dims": "reshape",
    "flatten": "reshape",
    "nn.batch_flatten": "reshape",
    "nn.softmax": "softmax",
}


def _keep(rewriter: Rewriter, call: Call) -> Call:
    if any(isinstance(arg, Const) for arg in call.args):
        raise rewriter.error(call, f"operation '{call.op}' takes a constant")
    return rewriter.emit(call)


def _drop(rewriter: Rewriter, call: Call) -> Call:
    return call.source()


def _conv(rewriter: Rewriter, call: Call) -> Call:
    one_d = call.op == "nn.conv1d"
    weights = call.args[1]
    if not isinstance(call.args[0], Call) or not isinstance(weights, Const):
        raise rewriter.error(call, "a convolution has weights that are not constant")
    attrs = call.attrs
    layout = attrs["kernel_layout"]
    order = [layout.index(letter) for letter in ("OWI" if one_d else "OHWI")]
    if layout == "HWOI":
        # Depthwise weights [KH, KW, C, M] of TFLite: channel o of C * M reads input channel o // M.
        height, width, channels, multiplier = weights.shape
        weights = view(weights, lambda a: a.reshape(height, width, channels * multiplier, 1))
    weights = view(weights, lambda a: a.transpose(order))
    strides, dilation, padding = attrs["strides"], attrs["dilation"], attrs["padding"]
    if one_d:
        weights = view(weights, lambda a: a[:, None])
        strides, dilation = (1, *strides), (1, *dilation)
        padding = (0, padding[0], 0, padding[1])
    out = weights.shape[0]
    return rewriter.like(
        call,
        "conv",
        [call.source(), weights, _no_bias(out)],
        strides=tuple(strides),
        padding=tuple(padding),
        dilation=tuple(dilation),
        groups=attrs["groups"],
        channel_axis=attrs["data_layout"].index("C"),
    )


def _no_bias(count: int) -> Const:
    return Const(np.zeros(count, dtype=np.float32))


def _matmul(rewriter: Rewriter, call: Call) -> Call:
    weights = call.args[1]
    source = call.args[0]
    if not isinstance(source, Call) or not isinstance(weights, Const) or len(weights.shape) != 2:
        raise rewriter.error(call, "a matrix product has no constant 2-D weights on its right")
    if math.prod(source.shape[:-1]) != 1:
        raise rewriter.error(
            call, f"a dense layer is applied to {source.shape}, that is to several rows at once"
        )
    if len(source.shape) != 2:
        source = rewriter.emit(
            Call("reshape", [source], {}, (1, source.shape[-1]), "float32", call.name)
        )
    columns = weights.shape[1]
    dense = Call(
        "dense", [source, view(weights, np.transpose), _no_bias(columns)], {}, (1, columns),
        "float32", call.name,
    )  # fmt: skip
    rewriter.emit(dense)
    if call.shape != dense.shape:
        return rewriter.like(call, "reshape", [dense])
    return dense


def _subtract(rewriter: Rewriter, call: Call) -> Call:
    other = call.args[1]
    if not isinstance(other, Const):
        raise rewriter.error(call, "the difference of two activations is not supported")
    call.args = [call.args[0], Const(-np.asarray(other.real(), dtype=np.float64))]
    call.op = "add"
    return _binary(rewriter, call)


def _divide(rewriter: Rewriter, call: Call) -> Call:
    other = call.args[1]
    if not isinstance(other, Const) or not np.all(other.real()):
        raise rewriter.error(call, "a division by something other than a nonzero constant")
    call.args = [call.args[0], Const(1.0 / np.asarray(other.real(), dtype=np.float64))]
    call.op = "multiply"
    return _binary(rewriter, call)


def _binary(rewriter: Rewriter, call: Call) -> Call:
    """Constants go to the right; additions and multiplications that do nothing go away."""
    if isinstance(call.args[0], Const):
        call.args = [call.args[1], call.args[0]]
    const = call.args[1]
    if isinstance(const, Const) and call.shape == call.source().shape:
        neutral = 0.0 if call.op == "add" else 1.0
        if np.all(const.real() == neutral):
            return call.source()
    return rewriter.emit(call)


def _maximum(rewriter: Rewriter, call: Call) -> Call:
    return _limit(rewriter, call, lower=True)


def _minimum(rewriter: Rewriter, call: Call) -> Call:
    return _limit(rewriter, call, lower=False)


def _limit(rewriter: Rewriter, call: Call, lower: bool) -> Call:
    if isinstance(call.args[0], Const):
        call.args = [call.args[1], call.args[0]]
    other = call.args[1]
    if not isinstance(other, Const) or np.unique(other.real()).size != 1:
        raise rewriter.error(call, f"a {call.op} of two activations is not supported")
    bound = float(other.real().reshape(-1)[0])
    return _emit_clip(rewriter, call, bound if lower else -math.inf, math.inf if lower else bound)


def _clip(rewriter: Rewriter, call: Call) -> Call:
    low, high = clip_bounds(call)
    return _emit_clip(rewriter, call, low, high)


def _relu(rewriter: Rewriter, call: Call) -> Call:
    return _emit_clip(rewriter, call, 0.0, math.inf)


def _relu6(rewriter: Rewriter, call: Call) -> Call:
    return _emit_clip(rewriter, call, 0.0, 6.0)


def _emit_clip(rewriter: Rewriter, call: Call, low: float, high: float) -> Call:
    source = call.source()
    if source.op == "clip":
        # clip(clip(x, a, b), c, d) is clip(x, max(a, c), min(b, d)) when the ranges overlap.
        inner_low, inner_high = source.attrs["low"], source.attrs["high"]
        if max(low, inner_low) <= min(high, inner_high):
            low, high, source = max(low, inner_low), min(high, inner_high), source.source()
    if low == -math.inf and high == math.inf:
        return source
    return rewriter.like(call, "clip", [source], low=low, high=high)


def _activation(function: str) -> RewriteRule:
    def rule(rewriter: Rewriter, call: Call) -> Call:
        alpha = float(call.attrs.get("alpha") or 0.0)
        return rewriter.like(
            call, "activation", [call.source()], function=function, alpha=alpha, beta=0.0
        )

    return rule


def _silu(rewriter: Rewriter, call: Call) -> Call:
    sigmoid = rewriter.like(
        call, "activation", [call.source()], function="sigmoid", alpha=0.0, beta=0.0
    )
    return rewriter.like(call, "multiply", [call.source(), sigmoid])


def _pad(rewriter: Rewriter, call: Call) -> Call:
    widths = call.attrs.get("pad_width") or ()
    value = float(call.attrs.get("pad_value") or 0.0)
    constant = call.attrs.get("pad_mode", "constant") == "constant"
    if not any(widths):
        return call.source()
    if not constant or value != 0.0:
        raise rewriter.error(call, "padding with something other than zeros is not supported")
    return rewriter.emit(call)


_RULES: dict[str, RewriteRule] = {
    "nn.conv1d": _conv,
    "nn.conv2d": _conv,
    "matmul": _matmul,
    **POOL_RULES,
    "add": _binary,
    "multiply": _binary,
    "subtract": _subtract,
    "divide": _divide,
    "maximum": _maximum,
    "minimum": _minimum,
    "clip": _clip,
    "nn.relu": _relu,
    "nn.relu6": _relu6,
    "nn.leakyrelu": _activation("leaky_relu"),
    "sigmoid": _activation("sigmoid"),
    "tanh": _activation("tanh"),
    "nn.silu": _silu,
    "nn.pad": _pad,
    "nn.dropout": _drop,
    "concat": _keep,
    "reshape": _keep,
    "permute_dims": _keep,
    "softmax": _keep,
    "quantize": _keep,
    "dequantize": _keep,
}


def find_layers(program: Program) -> Program:
    """Rewrites a program into the calls listed above, still with clip, pad and loose constants.

    Raises:
        ModelError: an operation that tinytrain does not support.
    """
    rewriter = Rewriter(program, _RULES)
    for call in program.calls:
        call.op = _ALIASES.get(call.op, call.op)
        if call.op not in _RULES:
            op = call.attrs.get("of", call.op)
            raise rewriter.error(call, f"operation '{op}' is not supported")
    return rewriter.run()
