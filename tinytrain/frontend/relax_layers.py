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
from collections.abc import Callable, Mapping

import numpy as np

from tinytrain.errors import ModelError
from tinytrain.frontend.relax_calls import Call, Const, Program
from tinytrain.frontend.relax_fold import clip_bounds

_ALIASES = {
    "squeeze": "reshape",
    "expand_dims": "reshape",
    "flatten": "reshape",
    "nn.batch_flatten": "reshape",
    "nn.softmax": "softmax",
}
SUPPORTED = (
    "convolution (1-D, 2-D, any groups), dense (Gemm, MatMul with constant weights), add, "
    "multiply, concatenate, average and max pooling, mean over a map, relu, relu6, leaky relu, "
    "hard-swish, hard-sigmoid, sigmoid, tanh, silu, batch normalisation, pad with zeros, "
    "reshape, flatten, squeeze, transpose, softmax at the end, quantize and dequantize"
)


Rule = Callable[["Rewriter", Call], Call | None]


class Rewriter:
    """Walks the calls once, in order, and emits the rewritten ones.

    A rule returns the call that stands for the old one: a new one that it emitted, or one that
    was there already.
    """

    def __init__(self, program: Program, rules: Mapping[str, Rule]) -> None:
        self.program = program
        self.rules = rules
        self.calls: list[Call] = []
        self.replaced: dict[Call, Call] = {}
        self.reads: dict[Call, int] = {program.output: 1}
        for call in program.calls:
            for arg in call.args:
                if isinstance(arg, Call):
                    self.reads[arg] = self.reads.get(arg, 0) + 1

    def run(self) -> Program:
        """Applies the rule of every call; calls without one stay as they are."""
        known: set[Call] = set(self.program.inputs)
        for call in self.program.calls:
            call.args = [
                self.replaced.get(arg, arg) if isinstance(arg, Call) else arg for arg in call.args
            ]
            rule, start = self.rules.get(call.op), len(self.calls)
            result = rule(self, call) if rule is not None else None
            result = self.emit(call) if result is None else result
            self.replaced[call] = result
            if result is not call:
                reads = self.reads.get(call, 0)
                self.reads[result] = reads + (self.reads[result] - 1 if result in known else 0)
            known.update(self.calls[start:])
        program = self.program
        output = self.replaced.get(program.output, program.output)
        return Program(program.inputs, self.calls, output, program.file, program.notes).live()

    def only(self, call: Call) -> bool:
        """True when nothing but the present call reads it."""
        return self.reads.get(call, 0) == 1

    def error(self, call: Call, what: str, way_out: str | None = None) -> ModelError:
        """An error about a call, by default with the list of what is supported."""
        return ModelError(
            what,
            where=self.program.where(call),
            way_out=way_out or f"build the model from what is supported: {SUPPORTED}",
        )

    def emit(self, call: Call) -> Call:
        """Appends a call."""
        self.calls.append(call)
        return call

    def like(self, call: Call, op: str, args: list[Call | Const], **attrs: object) -> Call:
        """Appends a call with the shape and name of another."""
        return self.emit(Call(op, args, dict(attrs), call.shape, "float32", call.name))


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


def view(const: Const, move: Callable[[np.ndarray], np.ndarray]) -> Const:
    """The constant with its elements, scales and zero points moved alike."""
    if const.scale is None or const.zero_point is None:
        return Const(move(const.data))
    return Const(move(const.data), move(const.scale), move(const.zero_point))


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


def _pool(kind: str) -> Callable[[Rewriter, Call], Call]:
    def rule(rewriter: Rewriter, call: Call) -> Call:
        attrs = call.attrs
        one_d = call.op.endswith("1d")
        window, strides, padding = attrs["pool_size"], attrs["strides"], list(attrs["padding"])
        if any(extent != 1 for extent in attrs["dilation"]):
            raise rewriter.error(call, "a pooling window is dilated")
        if one_d:
            window, strides, padding = (1, *window), (1, *strides), [0, padding[0], 0, padding[1]]
        axis = attrs["layout"].index("C")
        include = bool(attrs["count_include_pad"]) and any(padding)
        if attrs["ceil_mode"]:
            _pad_to_ceiling(call, window, strides, padding, one_d, axis)
            if kind == "avg" and include:
                raise rewriter.error(call, "average pooling has both ceil_mode and counted padding")
        return rewriter.like(
            call,
            "pool",
            [call.source()],
            kind=kind,
            window=tuple(window),
            strides=tuple(strides),
            padding=tuple(padding),
            count_include_pad=include,
            channel_axis=axis,
        )

    return rule


def _pad_to_ceiling(
    call: Call, window: tuple[int, ...], strides: tuple[int, ...], padding: list[int],
    one_d: bool, axis: int,
) -> None:  # fmt: skip
    """Pads at the end so that rounding down yields the shape that rounding up gave."""
    spatial = [number for number in range(1, len(call.shape)) if number != axis]
    for place, number in enumerate(spatial, start=1 if one_d else 0):
        size = call.source().shape[number]
        needed = (call.shape[number] - 1) * strides[place] + window[place]
        padding[2 + place] = max(padding[2 + place], needed - size - padding[place])


def _whole_map(rewriter: Rewriter, call: Call, axes: tuple[int, ...], channel_axis: int) -> Call:
    """Mean over some axes of a map, with those axes kept at extent 1."""
    source = call.source()
    spatial = [axis for axis in range(1, len(source.shape)) if axis != channel_axis]
    window = tuple(source.shape[axis] if axis in axes else 1 for axis in spatial)
    if len(window) == 1:
        window = (1, *window)
    shape = tuple(1 if axis in axes else n for axis, n in enumerate(source.shape))
    pool = Call(
        "pool", [source],
        {"kind": "avg", "window": window, "strides": window, "padding": (0, 0, 0, 0),
         "count_include_pad": False, "channel_axis": channel_axis},
        shape, "float32", call.name,
    )  # fmt: skip
    return rewriter.emit(pool)


def _mean(rewriter: Rewriter, call: Call) -> Call:
    rank = len(call.source().shape)
    axes = call.attrs["axis"]
    axes = tuple(range(rank)) if axes is None else tuple(sorted(axis % rank for axis in axes))
    if rank not in (3, 4) or 0 in axes or len(axes) > rank - 2:
        raise rewriter.error(call, f"a mean over the axes {axes} of {call.source().shape}")
    channel_axis = next(axis for axis in range(1, rank) if axis not in axes)
    pool = _whole_map(rewriter, call, axes, channel_axis)
    return pool if pool.shape == call.shape else rewriter.like(call, "reshape", [pool])


def _adaptive(rewriter: Rewriter, call: Call) -> Call:
    source = call.source()
    axis = call.attrs["layout"].index("C")
    spatial = [number for number in range(1, len(source.shape)) if number != axis]
    if any(source.shape[number] % call.shape[number] for number in spatial):
        raise rewriter.error(
            call,
            f"adaptive pooling from {source.shape} to {call.shape} needs windows of unequal size",
            "choose an output size that divides the map",
        )
    window = tuple(source.shape[number] // call.shape[number] for number in spatial)
    window = window if len(window) == 2 else (1, *window)
    return rewriter.like(
        call, "pool", [source], kind="avg", window=window, strides=window, padding=(0, 0, 0, 0),
        count_include_pad=False, channel_axis=axis,
    )  # fmt: skip


def _global(rewriter: Rewriter, call: Call) -> Call:
    axis = call.attrs["layout"].index("C")
    axes = tuple(number for number in range(1, len(call.shape)) if number != axis)
    return _whole_map(rewriter, call, axes, axis)


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


def _activation(function: str) -> Callable[[Rewriter, Call], Call]:
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


_RULES: dict[str, Rule] = {
    "nn.conv1d": _conv,
    "nn.conv2d": _conv,
    "matmul": _matmul,
    "nn.avg_pool1d": _pool("avg"),
    "nn.avg_pool2d": _pool("avg"),
    "nn.max_pool1d": _pool("max"),
    "nn.max_pool2d": _pool("max"),
    "nn.adaptive_avg_pool1d": _adaptive,
    "nn.adaptive_avg_pool2d": _adaptive,
    "nn.global_avg_pool2d": _global,
    "mean": _mean,
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
