"""Evaluates in NumPy every call that depends on constants alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinytrain.errors import ModelError
from tinytrain.frontend.relax.calls import Call, Const, Program

FoldRule = Callable[[Call, list[Const]], Const | None]


def fold_constants(program: Program) -> Program:
    """The program with each constant call replaced by its value.

    Quantized constants stay integers: `dequantize` of a constant is a `Const` that carries scale
    and zero point, and views of it (reshape, transpose and the like) keep them.

    Raises:
        ModelError: a constant holds NaN or infinity, or constants do not fit together.
    """
    known: dict[Call, Const] = {}
    calls = []
    for call in program.calls:
        call.args = [known.get(arg, arg) if isinstance(arg, Call) else arg for arg in call.args]
        try:
            value = _evaluate(call) if call is not program.output else None
        # NumPy's ways to say that extents, axes or types do not fit.
        except (ValueError, IndexError, TypeError, OverflowError) as error:
            raise ModelError(
                f"the constants that '{call.op}' reads do not fit together",
                where=program.where(call),
                help="export or quantize the model again; it may be damaged",
                detail=str(error).split("\n")[0][:200],
            ) from error
        if value is None:
            calls.append(call)
            continue
        known[call] = value
    for call in calls:
        for arg in call.args:
            if isinstance(arg, Const) and not _finite(arg):
                raise ModelError(
                    "a constant of the model holds NaN or infinity",
                    where=program.where(call),
                    help="train or export the model again; a model with such weights cannot run",
                )
    return Program(program.inputs, calls, program.output, program.file, program.notes)


def _finite(const: Const) -> bool:
    if const.data.dtype.kind == "f" and not np.isfinite(const.data).all():
        return False
    return const.scale is None or bool(np.isfinite(const.scale).all())


def _evaluate(call: Call) -> Const | None:
    rule = _RULES.get(call.op)
    if call.op == "full" or rule is None or not call.args:
        return _full(call) if call.op in ("full", "zeros", "ones") else None
    args = [arg for arg in call.args if isinstance(arg, Const)]
    if len(args) != len(call.args):
        return None
    with np.errstate(all="ignore"):
        return rule(call, args)


def _full(call: Call) -> Const | None:
    if call.op == "full":
        value = call.args[0] if call.args else None
        return Const(np.broadcast_to(value.data, call.shape)) if isinstance(value, Const) else None
    return Const(np.full(call.shape, float(call.op == "ones"), dtype=call.dtype))


def along_axis(values: np.ndarray, axis: int, shape: tuple[int, ...]) -> np.ndarray:
    """A scalar, or one value for each index along `axis`, as a view of the whole shape."""
    values = np.asarray(values)
    if values.size == 1:
        return np.broadcast_to(values.reshape(()), shape)
    extents = [1] * len(shape)
    extents[axis] = values.size
    return np.broadcast_to(values.reshape(extents), shape)


def _dequantize(call: Call, args: list[Const]) -> Const | None:
    data, scale, zero_point = (arg.data for arg in args)
    if args[0].scale is not None or scale.ndim > 1:
        return None
    axis = call.attrs["axis"]
    return Const(
        data,
        along_axis(scale.astype(np.float32), axis, data.shape),
        along_axis(zero_point.astype(np.int64), axis, data.shape),
    )


def _quantize(call: Call, args: list[Const]) -> Const | None:
    x = args[0].real()
    axis = call.attrs["axis"]
    scale = along_axis(args[1].data.astype(np.float32), axis, x.shape)
    zero_point = along_axis(args[2].data.astype(np.int64), axis, x.shape)
    limits = np.iinfo(call.dtype)
    q = np.rint(x.astype(np.float32) / scale) + zero_point
    return Const(np.clip(q, limits.min, limits.max).astype(call.dtype))


def _view(move: Callable[[np.ndarray, Call], np.ndarray]) -> FoldRule:
    """A rule for an operation that moves elements without changing them."""

    def rule(call: Call, args: list[Const]) -> Const:
        const = args[0]
        if const.scale is None or const.zero_point is None:
            return Const(move(const.data, call))
        return Const(move(const.data, call), move(const.scale, call), move(const.zero_point, call))

    return rule


def _element_wise(function: Callable[..., Any]) -> FoldRule:
    def rule(call: Call, args: list[Const]) -> Const:
        return Const(np.asarray(function(*(arg.real() for arg in args))).astype(call.dtype))

    return rule


def _clip(call: Call, args: list[Const]) -> Const:
    low, high = clip_bounds(call)
    return Const(np.clip(args[0].real(), low, high).astype(call.dtype))


def clip_bounds(call: Call) -> tuple[float, float]:
    """Lower and upper bound of a clip; infinite where it has none."""
    low, high = call.attrs["plain"]
    return float(low), float(high)


def _concat(call: Call, args: list[Const]) -> Const:
    joined = np.concatenate([arg.real() for arg in args], call.attrs["axis"])
    return Const(joined.astype(call.dtype))


def _astype(call: Call, args: list[Const]) -> Const:
    return Const(args[0].real().astype(call.dtype))


def transposition(call: Call) -> tuple[int, ...]:
    """Axes of a permute_dims; without any it reverses them all."""
    axes = call.attrs["axes"]
    rank = len(call.shape)
    return tuple(reversed(range(rank))) if axes is None else tuple(a % rank for a in axes)


def _reshape(data: np.ndarray, call: Call) -> np.ndarray:
    if math.prod(call.shape) != data.size:
        raise ValueError("a view cannot change the number of elements")
    return data.reshape(call.shape)


_RULES: dict[str, FoldRule] = {
    "dequantize": _dequantize,
    "quantize": _quantize,
    "reshape": _view(_reshape),
    "expand_dims": _view(_reshape),
    "squeeze": _view(_reshape),
    "flatten": _view(_reshape),
    "permute_dims": _view(lambda data, call: data.transpose(transposition(call))),
    "broadcast_to": _view(lambda data, call: np.broadcast_to(data, call.shape)),
    "astype": _astype,
    "concat": _concat,
    "clip": _clip,
    "add": _element_wise(np.add),
    "subtract": _element_wise(np.subtract),
    "multiply": _element_wise(np.multiply),
    "divide": _element_wise(np.true_divide),
    "maximum": _element_wise(np.maximum),
    "minimum": _element_wise(np.minimum),
    "power": _element_wise(np.power),
    "negative": _element_wise(np.negative),
    "sqrt": _element_wise(np.sqrt),
    "rsqrt": _element_wise(lambda x: 1 / np.sqrt(x)),
    "exp": _element_wise(np.exp),
    "isnan": _element_wise(np.isnan),
    "where": _element_wise(np.where),
    "abs": _element_wise(np.abs),
    "zeros_like": _element_wise(np.zeros_like),
    "ones_like": _element_wise(np.ones_like),
}
