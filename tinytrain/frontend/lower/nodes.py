"""One rule for each call: the node that it becomes, in our layout."""

from __future__ import annotations

import math
from collections.abc import Callable

from tinytrain.errors import ModelError
from tinytrain.frontend.lower.cuts import MOVES
from tinytrain.frontend.lower.graph import GraphImporter
from tinytrain.frontend.lower.layout import Axes, Tensor, axes_of
from tinytrain.frontend.lower.pairs import PAIRS
from tinytrain.frontend.lower.rewrite import view
from tinytrain.frontend.program import Call, Const
from tinytrain.ir.graph import Value
from tinytrain.ir.ops import window_output
from tinytrain.ir.types import DType, Quantization, TensorType

_CLAMP = (-128, 127)


def _conv(importer: GraphImporter, call: Call) -> Tensor:
    attrs = call.attrs
    x = importer.map_of(call)
    if call in importer.classifiers:
        flat = importer.layouts.reshaped(x, (1, x.type.size), importer.program.where(call))
        kernel = call.args[1]
        assert isinstance(kernel, Const)
        w, b = importer.weights(_as_dense(call, kernel))
        result = importer.add(call, "dense", [flat, w, b], (1, kernel.shape[0]), clamp=_CLAMP)
        axis = attrs["channel_axis"]
        return Tensor(
            result,
            tuple((0,) if n == 0 else (1,) if n == axis else () for n in range(len(call.shape))),
        )
    w, b = importer.weights(call)
    out, k_h, k_w, _ = w.type.shape
    (_, height, width, _), padding = x.type.shape, attrs["padding"]
    strides, dilation = attrs["strides"], attrs["dilation"]
    out_h = window_output(height, k_h, strides[0], padding[0], padding[2], dilation[0])
    out_w = window_output(width, k_w, strides[1], padding[1], padding[3], dilation[1])
    result = importer.add(
        call, "conv2d", [x, w, b], (1, out_h, out_w, out), strides=strides, padding=padding,
        dilation=dilation, groups=attrs["groups"], clamp=_CLAMP,
    )  # fmt: skip
    return importer.map_result(call, result)


def _as_dense(call: Call, kernel: Const) -> Call:
    out, per_input = kernel.shape[0], kernel.shape[3]
    weights = view(kernel, lambda data: data.reshape(out, per_input))
    return Call("dense", [call.args[0], weights, call.args[2]], {}, (1, out), "float32", call.name)


def _dense(importer: GraphImporter, call: Call) -> Tensor:
    where = importer.program.where(call)
    tensor = importer.tensor(call)
    kernel = call.args[1]
    assert isinstance(kernel, Const)
    joined = tensor.view[1]
    if list(joined) != sorted(joined):
        # The input was flattened from [C,H,W] and lies as [H,W,C]: permute the weights instead.
        extents = tuple(tensor.value.type.shape[axis] for axis in joined)
        order = sorted(range(len(joined)), key=lambda place: joined[place])
        kernel = _permuted_inputs(kernel, extents, order)
        tensor = Tensor(tensor.value, (tensor.view[0], tuple(sorted(joined))))
    x = importer.layouts.arranged(tensor, [(0,), (1,)], where)
    w, b = importer.weights(
        Call("dense", [call.args[0], kernel, call.args[2]], {}, call.shape, "float32", call.name)
    )
    result = importer.add(call, "dense", [x, w, b], call.shape, clamp=_CLAMP)
    return Tensor(result, ((0,), (1,)))


def _permuted_inputs(kernel: Const, extents: tuple[int, ...], order: list[int]) -> Const:
    out = kernel.shape[0]
    axes = (0, *(place + 1 for place in order))
    return view(kernel, lambda data: data.reshape(out, *extents).transpose(axes).reshape(out, -1))


def _pool(importer: GraphImporter, call: Call) -> Tensor:
    attrs = call.attrs
    x = importer.map_of(call)
    (_, height, width, channels), padding = x.type.shape, attrs["padding"]
    window, strides = attrs["window"], attrs["strides"]
    out_h = window_output(height, window[0], strides[0], padding[0], padding[2], 1)
    out_w = window_output(width, window[1], strides[1], padding[1], padding[3], 1)
    extra = {"count_include_pad": attrs["count_include_pad"]} if attrs["kind"] == "avg" else {}
    result = importer.add(
        call, f"{attrs['kind']}_pool2d", [x], (1, out_h, out_w, channels),
        window=window, strides=strides, padding=padding, clamp=_CLAMP, **extra,
    )  # fmt: skip
    return importer.map_result(call, result)


def _concat(importer: GraphImporter, call: Call) -> Tensor:
    axis = call.attrs["axis"] % len(call.shape)
    tensors = [importer.tensor(call, number) for number in range(len(call.args))]
    where = importer.program.where(call)
    groups = axes_of(tensors[0])
    if groups is None or (axis,) not in groups:
        groups = [(number,) for number in range(len(call.shape))]
    values = [importer.layouts.arranged(tensor, groups, where) for tensor in tensors]
    ours = groups.index((axis,))
    shape = list(values[0].type.shape)
    shape[ours] = sum(value.type.shape[ours] for value in values)
    result = importer.add(call, "concatenate", values, tuple(shape), axis=ours)
    axes: list[Axes] = [()] * len(call.shape)
    for place, group in enumerate(groups):
        for number in group:
            axes[number] = (place,)
    return Tensor(result, tuple(axes))


def _activation(importer: GraphImporter, call: Call) -> Tensor:
    tensor = importer.tensor(call)
    names = ("function", "alpha", "beta", "steps")
    attrs = {key: call.attrs[key] for key in names if key in call.attrs}
    return tensor.on(
        importer.add(call, "activation", [tensor.value], tensor.value.type.shape, **attrs)
    )


def _quantize(importer: GraphImporter, call: Call) -> Tensor:
    tensor = importer.tensor(call)
    meaning = Quantization((call.attrs["scale"],), call.attrs["zero_point"])
    type_ = TensorType(tensor.value.type.shape, DType.S8, meaning)
    where = importer.program.where(call)
    return tensor.on(importer.builder.node("quantize", [tensor.value], type_, where=where))


def _dequantize(importer: GraphImporter, call: Call) -> Tensor:
    tensor = importer.tensor(call)
    return tensor.on(importer.add(call, "dequantize", [tensor.value], tensor.value.type.shape))


def _reshape(importer: GraphImporter, call: Call) -> Tensor:
    where = importer.program.where(call)
    return importer.layouts.viewed(importer.tensor(call), call.shape, where)


def _permute(importer: GraphImporter, call: Call) -> Tensor:
    return importer.tensor(call).permuted(call.attrs["axes"])


def _softmax(importer: GraphImporter, call: Call) -> Tensor:
    """Over a vector, or over the channels of a map at each of its places."""
    help = "use softmax only as the last step of a classifier"
    arranged, view = _channels_last(importer, call, "a softmax", help)
    result = importer.add(call, "softmax", [arranged], arranged.type.shape)
    return Tensor(result, view)


def _channels_last(
    importer: GraphImporter, call: Call, what: str, help: str
) -> tuple[Value, tuple[Axes, ...]]:
    """What a call reads with the axis that it works along last, and how its result is seen."""
    tensor = importer.tensor(call)
    where = importer.program.where(call)
    rank = len(call.shape)
    axis = int(call.attrs["axis"]) % rank
    others = [number for number in range(rank) if number != axis]
    if math.prod(call.shape) == call.shape[axis]:
        groups: list[Axes] = [(), (axis,)]
        view = tuple((1,) if number == axis else () for number in range(rank))
        return importer.layouts.arranged(tensor, groups, where), view
    if rank not in (3, 4) or axis == 0:
        raise ModelError(
            f"{what} over axis {axis} of {call.shape} is not supported", where=where, help=help
        )
    places: list[Axes] = [(number,) for number in others[1:]]
    groups = [(others[0],), *([()] if rank == 3 else []), *places, (axis,)]
    at = {number: (place,) for place, group in enumerate(groups) for number in group}
    return importer.layouts.arranged(tensor, groups, where), tuple(at[n] for n in range(rank))


def _l2_normalize(importer: GraphImporter, call: Call) -> Tensor:
    """Over a vector, or over the channels of a map at each of its places."""
    arranged, view = _channels_last(importer, call, "an L2 normalisation", "normalise channels")
    result = importer.add(call, "l2_normalize", [arranged], arranged.type.shape)
    return Tensor(result, view)


NODE_RULES: dict[str, Callable[[GraphImporter, Call], Tensor]] = {
    "conv": _conv,
    "dense": _dense,
    "pool": _pool,
    "concat": _concat,
    "activation": _activation,
    "quantize": _quantize,
    "dequantize": _dequantize,
    "reshape": _reshape,
    "permute": _permute,
    "softmax": _softmax,
    "l2_normalize": _l2_normalize,
    **MOVES,
    **PAIRS,
}
