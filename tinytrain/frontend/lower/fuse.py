"""Puts bias, batch normalisation, padding and relu where the layers of tinytrain expect them."""

from __future__ import annotations

import math

import numpy as np

from tinytrain.frontend.lower.padding import pool, take_padding
from tinytrain.frontend.lower.rewrite import Rewriter, RewriteRule
from tinytrain.frontend.program import Call, Const, Program


def fuse_layers(program: Program) -> Program:
    """Leaves no clip, and no constant operand of add or multiply.

    A constant sum or product is taken into the bias and weights of the convolution or dense layer
    before it; where there is none, it becomes a depthwise 1x1 convolution, which in turn goes
    into the convolution after it where that is exact. Zero padding goes into the window after it.

    Raises:
        ModelError: a constant that no rule takes.
    """
    rules: dict[str, RewriteRule] = {
        "add": _affine,
        "multiply": _affine,
        "clip": _clip,
    }
    program = Rewriter(program, rules).run()
    return Rewriter(program, {"conv": _conv, "pool": pool}).run()


# --- sums and products with constants -----------------------------------------------------------


def _affine(rewriter: Rewriter, call: Call) -> Call | None:
    const = call.args[1]
    if not isinstance(const, Const):
        return None
    source = call.source()
    if call.shape != source.shape:
        raise rewriter.error(
            call,
            f"{call.op} of a constant of {list(const.shape)} to {list(source.shape)} is not "
            "supported",
            "constants may be one number, or one for each channel of a map",
        )
    axis = _varying_axis(const, call)
    if source.op in ("conv", "dense") and rewriter.only(source):
        own = source.attrs["channel_axis"] if source.op == "conv" else len(source.shape) - 1
        if axis in (None, own):
            joined = _into_layer(call.op, source, const)
            if joined is not None:
                return rewriter.emit(joined)
    rank = len(call.shape)
    inner = source.source() if source.op == "reshape" and rewriter.only(source) else None
    if inner is not None and inner.attrs.get("affine") and rewriter.only(inner) and rank == 2:
        joined = _into_layer(call.op, inner, const)
        if joined is not None:
            return _reshaped(rewriter, call, rewriter.emit(joined))
    if axis is None:
        axis = rank - 1 if rewriter.program.channels_last or rank < 3 else 1
    if axis in (-1, 0):
        raise rewriter.error(
            call,
            f"{call.op} of a constant of shape {const.shape} to {source.shape} is not supported",
            "constants may be one number, or one for each channel of a map",
        )
    return _depthwise(rewriter, call, const, axis)


def _varying_axis(const: Const, call: Call) -> int | None:
    """The axis along which a constant varies; None if it is one number, -1 if there are several."""
    values = np.asarray(const.real())
    if np.unique(values).size == 1:
        return None
    rank = len(call.shape)
    shape = (1,) * (rank - values.ndim) + values.shape
    varying = [axis for axis, extent in enumerate(shape) if extent != 1]
    return varying[0] if len(varying) == 1 else -1


def _spread(const: Const, count: int) -> np.ndarray:
    return np.broadcast_to(np.asarray(const.real(), dtype=np.float64).reshape(-1), (count,)).copy()


def _into_layer(op: str, layer: Call, const: Const) -> Call | None:
    """The layer with the constant in its bias, or in its bias and weights."""
    weights, bias = layer.args[1:]
    assert isinstance(weights, Const) and isinstance(bias, Const)
    count = weights.shape[0]
    if np.unique(const.real()).size == 1 and const.data.size > 1:
        one = np.full(1, np.unique(const.real())[0])
        const = Const(one, source=const.source) if const.scale is None else const
    if op == "add":
        if const.scale is not None and const.data.size == count and not np.any(bias.real()):
            joined = _vector(const, count)
        else:
            total = np.asarray(bias.real(), dtype=np.float64) + _spread(const, count)
            joined = Const(total, source=const.source or bias.source)
        args: list[Call | Const] = [layer.args[0], weights, joined]
    else:
        factors = _spread(const, count)
        args = [
            layer.args[0],
            _scaled(weights, factors.reshape((-1,) + (1,) * (len(weights.shape) - 1))),
            Const(np.asarray(bias.real(), dtype=np.float64) * factors, source=bias.source),
        ]
    return Call(layer.op, args, layer.attrs, layer.shape, "float32", layer.name)


def _scaled(weights: Const, factors: np.ndarray) -> Const:
    """Weights times a factor for each output channel; quantized ones stay integers."""
    if weights.scale is None or weights.zero_point is None:
        data = np.asarray(weights.data, dtype=np.float64) * factors
        return Const(data, source=weights.source)
    # The factor goes into the scale, its sign into the integers; a channel times zero has zeros.
    shifted = weights.data.astype(np.int64) - weights.zero_point
    shifted = shifted * np.sign(factors).astype(np.int64)
    scale = weights.scale * np.where(factors == 0, 1.0, np.abs(factors))
    return Const(shifted, scale.astype(np.float32), np.zeros_like(shifted), weights.source)


def _vector(const: Const, count: int) -> Const:
    """A quantized bias as [count], still integers."""
    assert const.scale is not None and const.zero_point is not None
    return Const(
        const.data.reshape(count),
        const.scale.reshape(count),
        const.zero_point.reshape(count),
        const.source,
    )


def _depthwise(rewriter: Rewriter, call: Call, const: Const, axis: int) -> Call:
    source, shape = call.source(), call.shape
    count = shape[axis]
    if len(shape) == 2:
        source = rewriter.emit(
            Call(
                "reshape",
                [source],
                {"shape": (1, 1, 1, count)},
                (1, 1, 1, count),
                "float32",
                call.name,
            )
        )
        axis = 3
    values = _spread(const, count)
    weights, bias = (np.ones(count), values) if call.op == "add" else (values, np.zeros(count))
    layer = Call(
        "conv",
        [source, Const(weights.reshape(count, 1, 1, 1)), Const(bias)],
        {"strides": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1), "groups": count,
         "channel_axis": axis, "affine": True},
        source.shape, "float32", call.name,
    )  # fmt: skip
    rewriter.emit(layer)
    return layer if layer.shape == shape else _reshaped(rewriter, call, layer)


def _reshaped(rewriter: Rewriter, call: Call, layer: Call) -> Call:
    """The layer under the shape of the call, which alone reads it."""
    rewriter.reads[layer] = 1
    return rewriter.like(call, "reshape", [layer], shape=call.shape)


def _conv(rewriter: Rewriter, call: Call) -> Call | None:
    """Takes in the padding and the depthwise 1x1 layer of constants before a convolution."""
    call = take_padding(rewriter, call)
    before, weights, bias = call.args
    assert isinstance(before, Call) and isinstance(weights, Const) and isinstance(bias, Const)
    if not (before.op == "conv" and before.attrs.get("affine") and rewriter.only(before)):
        return rewriter.emit(call)
    scale, shift = (arg.real() for arg in before.args[1:] if isinstance(arg, Const))
    same_axis = before.attrs["channel_axis"] == call.attrs["channel_axis"]
    padded_shift = any(call.attrs["padding"]) and np.any(shift)
    if weights.scale is not None or not same_axis or padded_shift:
        return rewriter.emit(call)
    out, _, _, per_group = weights.shape
    groups = call.attrs["groups"]
    # Output channel o reads the input channels of its group: o // (out / groups).
    first = np.arange(out) // (out // groups) * per_group
    reads = first[:, None] + np.arange(per_group)
    kernel = np.asarray(weights.data, dtype=np.float64)
    lift = (kernel.sum(axis=(1, 2)) * shift.reshape(-1)[reads]).sum(axis=1)
    args: list[Call | Const] = [
        before.source(),
        Const(kernel * scale.reshape(-1)[reads][:, None, None, :], source=weights.source),
        Const(np.asarray(bias.real(), dtype=np.float64) + lift, source=bias.source),
    ]
    return rewriter.emit(Call("conv", args, call.attrs, call.shape, "float32", call.name))


# --- clips ----------------------------------------------------------------------------------------


def _clip(rewriter: Rewriter, call: Call) -> Call | None:
    low, high = call.attrs["low"], call.attrs["high"]
    function = {(0.0, math.inf): "relu", (0.0, 6.0): "relu6"}.get((low, high))
    if function is None and low == 0.0 and math.isclose(high, 6.0, rel_tol=0.01):
        # Quantized models hold 6 as an integer times a scale.
        function = "relu6" if call.source().op == "dequantize" else None
    alpha = beta = 0.0
    if function is None:
        reader = _only_reader(rewriter, call)
        if reader is not None and reader.op == "quantize" and _within(reader, low, high):
            return call.source()
        function, alpha, beta = "clip", low, high
    return rewriter.like(
        call, "activation", [call.source()], function=function, alpha=alpha, beta=beta
    )


def _only_reader(rewriter: Rewriter, call: Call) -> Call | None:
    readers = [user for user in rewriter.program.calls if call in user.args]
    return readers[0] if len(readers) == 1 else None


def _within(quantize: Call, low: float, high: float) -> bool:
    """True when no integer stands for a number out of range, so that the clip does nothing."""
    scale, zero_point = quantize.attrs["scale"], quantize.attrs["zero_point"]
    smallest, largest = scale * (-128 - zero_point), scale * (127 - zero_point)
    return bool(smallest >= low - scale / 2 and largest <= high + scale / 2)
