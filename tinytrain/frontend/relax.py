"""The one importer: a TVM Relax module becomes a graph of ours, in f32 with quantize nodes.

Every front end ends here. The steps, each a module of its own: read the calls (`relax_calls`), fold
constants (`relax_fold`), bring integers to s8 (`relax_integers`), find layers (`relax_layers`),
activations (`relax_activations`) and what belongs to a layer (`relax_fuse`), then write the graph
in our layout (here, with `relax_layout` and `relax_weights`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinytrain.errors import ModelError, Where
from tinytrain.frontend.relax_activations import find_activations
from tinytrain.frontend.relax_calls import Call, Const, Program, read_module
from tinytrain.frontend.relax_fold import fold_constants, transposition
from tinytrain.frontend.relax_fuse import fuse_layers
from tinytrain.frontend.relax_integers import normalise_integers
from tinytrain.frontend.relax_layers import find_layers
from tinytrain.frontend.relax_layout import Axes, Layouts, Tensor, axes_of, same_description
from tinytrain.frontend.relax_weights import bias_value, weight_value
from tinytrain.frontend.graph_writer import GraphWriter
from tinytrain.ir.graph import Graph, Value
from tinytrain.ir.ops import window_output
from tinytrain.ir.types import DType, Quantization, TensorType

LayerNames = Mapping[tuple[str, ...], Sequence[str]]
"""For some operations of Relax: the names that their calls have in the user's file, in order."""

_CLAMP = (-128, 127)


def import_relax(
    module: Any,
    *,
    name: str,
    file: str | None,
    info: Mapping[str, Any],
    channels_last: bool = False,
    layer_names: LayerNames | None = None,
) -> Graph:
    """Imports function `main` of a Relax module with one input and one output.

    Args:
        name: name of the graph, a C identifier.
        file: the user's file, for errors.
        info: facts that go into `Graph.info`; `source_shape` and `source_layout` are added.
        channels_last: whether maps have their channels last where nothing else tells.
        layer_names: used in errors, for each group of operations where their number fits.

    Raises:
        ModelError: anything that cannot be imported, with the node and the way out.
    """
    from tvm import relax

    module = relax.transform.DecomposeOpsForInference()(module)
    module = relax.transform.DeadCodeElimination()(module)
    program = read_module(module, file)
    _name_calls(program, layer_names or {})
    if len(program.inputs) != 1:
        names = ", ".join(str(call.name) for call in program.inputs)
        raise ModelError(
            f"the model has {len(program.inputs)} inputs ({names}); tinytrain takes one",
            where=Where(file),
            way_out="export the model with one input and the others as constants",
        )
    program = fold_constants(program)
    program = normalise_integers(program)
    program = find_layers(program)
    program = find_activations(program)
    program = fuse_layers(program, channels_last)
    return _Importer(program, name, info, channels_last).run()


def _name_calls(program: Program, layer_names: LayerNames) -> None:
    for ops, names in layer_names.items():
        calls = [call for call in program.calls if call.op in ops]
        if len(calls) == len(names):
            for call, name in zip(calls, names, strict=True):
                call.name = name
    latest = None
    for call in program.calls:
        # Without a name of its own, a call is placed by the named one before it.
        if call.name is None:
            call.name = f"{call.op} after {latest}" if latest else None
        else:
            latest = call.name


class _Importer:
    def __init__(
        self, program: Program, name: str, info: Mapping[str, Any], channels_last: bool
    ) -> None:
        self.program = program
        self.builder = GraphWriter(name, info)
        self.layouts = Layouts(self.builder)
        self.channels_last = channels_last
        self.tensors: dict[Call, Tensor] = {}
        self.users = program.users()
        self.classifiers = _classifiers(program, self.users)

    def run(self) -> Graph:
        self._input(self.program.inputs[0])
        for call in self.program.calls:
            self.tensors[call] = _RULES[call.op](self, call)
        output = self.tensors[self.program.output]
        self.builder.info["notes"] = tuple(self.program.notes)
        where = self.program.where(self.program.output)
        if len(output.shape) == 4 or len(output.shape) == 3:
            maps = [axis for axis, extent in enumerate(output.shape) if extent != 1]
            if len(maps) <= 1:
                size = math.prod(output.shape)
                result = self.layouts.arranged(
                    output, [(), tuple(range(len(output.shape)))], where
                )
                result = self.layouts.reshaped(result, (1, size), where)
            else:
                result = output.value
        else:
            result = self.layouts.plain(output, where)
        if result in self.builder.inputs:
            raise ModelError("the model computes nothing", where=where)
        return self.builder.finish([result])

    # --- values -----------------------------------------------------------------------------------

    def _input(self, call: Call) -> None:
        shape = call.shape
        if not shape or shape[0] != 1:
            raise ModelError(
                f"the input '{call.name}' has shape {shape}, a batch of {shape[0] if shape else 0}; "
                "the model must take one sample at a time",
                where=self.program.where(call),
                way_out="export the model with a batch of 1",
            )
        last = self._input_has_channels_last(call)
        rank = len(shape)
        if rank not in (2, 3, 4):
            raise ModelError(
                f"the input '{call.name}' has {rank} dimensions; 2, 3 and 4 can be read",
                where=self.program.where(call),
                way_out="export the model with an input of [1,I], [1,C,L] or [1,C,H,W]",
            )
        if rank == 2:
            ours, view, layout = shape, ((0,), (1,)), "NC"
        elif rank == 3 and last:
            ours, view, layout = (1, 1, *shape[1:]), ((0,), (2,), (3,)), "NLC"
        elif rank == 3:
            ours, view, layout = (1, 1, shape[2], shape[1]), ((0,), (3,), (2,)), "NCL"
        elif last:
            ours, view, layout = shape, ((0,), (1,), (2,), (3,)), "NHWC"
        else:
            ours = (1, shape[2], shape[3], shape[1])
            view, layout = ((0,), (3,), (1,), (2,)), "NCHW"
        value = self.builder.input("x", TensorType(ours, DType.F32))
        self.tensors[call] = Tensor(value, view)
        self.builder.info["source_shape"] = shape
        self.builder.info["source_layout"] = layout

    def _input_has_channels_last(self, call: Call) -> bool:
        """Looks where the first layer, or a transposition before it, has the channels."""
        rank = len(call.shape)
        reached = [call]
        for item in reached:
            for user in self.users.get(item, []):
                if user.op == "permute_dims":
                    return transposition(user) in ((0, 3, 1, 2), (0, 2, 1))
                if "channel_axis" in user.attrs and len(user.shape) == rank:
                    return bool(user.attrs["channel_axis"] == rank - 1)
                if len(user.shape) == rank:
                    reached.append(user)
        return self.channels_last

    def tensor(self, call: Call, number: int = 0) -> Tensor:
        """Argument `number` of a call."""
        return self.tensors[call.source(number)]

    def map_of(self, call: Call) -> Value:
        """The argument as [1,H,W,C]; a 1-D signal gets height 1."""
        tensor = self.tensor(call)
        axis = call.attrs["channel_axis"]
        spatial: list[Axes] = [
            (number,) for number in range(1, len(tensor.view)) if number != axis
        ]
        if len(spatial) == 1:
            spatial = [(), *spatial]
        return self.layouts.arranged(tensor, [(0,), *spatial, (axis,)], self.program.where(call))

    def map_result(self, call: Call, value: Value) -> Tensor:
        """The description of a [1,H,W,C] result as the user's model has it."""
        rank, axis = len(call.shape), call.attrs["channel_axis"]
        ours = iter((1, 2) if rank == 4 else (2,))
        view = tuple(
            (0,) if number == 0 else (3,) if number == axis else (next(ours),)
            for number in range(rank)
        )
        result = Tensor(value, view)
        if result.shape != call.shape:
            raise ModelError(
                f"a window gives {result.shape} where the model says {call.shape}",
                where=self.program.where(call),
                way_out="use padding that is smaller than the window, without ceil_mode",
            )
        return result

    def add(
        self, call: Call, op: str, inputs: list[Value], shape: tuple[int, ...], **attrs: Any
    ) -> Value:
        """Appends an f32 node."""
        type_ = TensorType(shape, DType.F32)
        return self.builder.node(op, inputs, type_, attrs, where=self.program.where(call))

    def weights(self, call: Call) -> tuple[Value, Value]:
        """Weights and bias of a conv or dense call, dequantized where the model has integers."""
        layer = "dense" if call.op == "dense" or call in self.classifiers else "conv"
        stem = self.builder.numbered(f"{layer}_data").replace("_data", "")
        where = self.program.where(call)
        weights, bias = call.args[1:]
        assert isinstance(weights, Const) and isinstance(bias, Const)
        notes = self.program.notes
        return (
            weight_value(self.builder, f"{stem}_w", weights, where, notes),
            bias_value(self.builder, f"{stem}_b", bias, where),
        )


# --- operations -----------------------------------------------------------------------------------


def _classifiers(program: Program, users: Mapping[Call, list[Call]]) -> set[Call]:
    """Convolutions on a 1x1 map whose result is, but for views and softmax, the model's output."""
    call = program.output
    while call.op in ("softmax", "reshape", "quantize", "dequantize", "permute_dims"):
        call = call.source()
        if len(users.get(call, [])) > 1:
            return set()
    if call.op != "conv" or call.attrs["groups"] != 1 or math.prod(call.shape) != call.shape[
        call.attrs["channel_axis"]
    ]:
        return set()
    weights = call.args[1]
    whole = call.source().shape
    assert isinstance(weights, Const)
    single = math.prod(whole) == whole[call.attrs["channel_axis"]]
    return {call} if single and weights.shape[1:3] == (1, 1) else set()


def _conv(importer: _Importer, call: Call) -> Tensor:
    attrs = call.attrs
    x = importer.map_of(call)
    if call in importer.classifiers:
        flat = importer.layouts.reshaped(x, (1, x.type.size), importer.program.where(call))
        kernel = call.args[1]
        assert isinstance(kernel, Const)
        w, b = importer.weights(_as_dense(call, kernel))
        result = importer.add(call, "dense", [flat, w, b], (1, kernel.shape[0]), clamp=_CLAMP)
        axis = attrs["channel_axis"]
        view: tuple[Axes, ...] = tuple(
            (0,) if n == 0 else (1,) if n == axis else () for n in range(len(call.shape))
        )
        return Tensor(result, view)
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

    def flat(data: np.ndarray) -> np.ndarray:
        return data.reshape(out, per_input)

    if kernel.scale is None or kernel.zero_point is None:
        weights = Const(flat(kernel.data))
    else:
        weights = Const(flat(kernel.data), flat(kernel.scale), flat(kernel.zero_point))
    return Call("dense", [call.args[0], weights, call.args[2]], {}, (1, out), "float32", call.name)


def _dense(importer: _Importer, call: Call) -> Tensor:
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

    def move(data: np.ndarray) -> np.ndarray:
        cut = data.reshape(out, *extents)
        return cut.transpose(0, *(place + 1 for place in order)).reshape(out, -1)

    if kernel.scale is None or kernel.zero_point is None:
        return Const(move(kernel.data))
    return Const(move(kernel.data), move(kernel.scale), move(kernel.zero_point))


def _pool(importer: _Importer, call: Call) -> Tensor:
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


def _together(importer: _Importer, call: Call, tensors: list[Tensor]) -> list[Tensor]:
    """The tensors with the elements of all in the order of the first."""
    if same_description(tensors):
        return tensors
    where = importer.program.where(call)
    rank = len(call.shape)
    tensors = [Tensor(t.value, ((),) * (rank - len(t.view)) + t.view) for t in tensors]
    groups = axes_of(tensors[0])
    if groups is None:
        groups = [(axis,) for axis in range(rank)]
        first = importer.layouts.plain(tensors[0], where)
        tensors[0] = Tensor(first, tuple((axis,) for axis in range(rank)))
    view: list[Axes] = [()] * rank
    for place, group in enumerate(groups):
        for axis in group:
            view[axis] = (place,)
    # Axes of extent 1 in the first tensor may be wider in another: give each an axis of its own.
    if any(
        not view[axis] and tensor.shape[axis] != 1 for tensor in tensors for axis in range(rank)
    ):
        groups = [(axis,) for axis in range(rank)]
        view = [(axis,) for axis in range(rank)]
    return [
        Tensor(importer.layouts.arranged(tensor, groups, where), tuple(view)) for tensor in tensors
    ]


def _add(importer: _Importer, call: Call) -> Tensor:
    a, b = _together(importer, call, [importer.tensor(call), importer.tensor(call, 1)])
    if a.value.type.shape != b.value.type.shape:
        raise ModelError(
            f"an addition of {a.shape} and {b.shape}: both must have the same shape",
            where=importer.program.where(call),
            way_out="expand the smaller one in the model",
        )
    shape = a.value.type.shape
    return a.on(importer.add(call, "add", [a.value, b.value], shape, clamp=_CLAMP))


def _multiply(importer: _Importer, call: Call) -> Tensor:
    first, second = importer.tensor(call), importer.tensor(call, 1)
    if math.prod(first.shape) < math.prod(second.shape):
        first, second = second, first
    a, b = _together(importer, call, [first, second])
    shape, other = a.value.type.shape, b.value.type.shape
    same = shape == other or b.value.type.size == 1
    if not same and not (other[-1] == shape[-1] and b.value.type.size == shape[-1]):
        raise ModelError(
            f"a multiplication of {a.shape} by {b.shape} is not supported",
            where=importer.program.where(call),
            way_out="multiply tensors of one shape, or a map by one number for each channel",
        )
    return a.on(importer.add(call, "multiply", [a.value, b.value], shape, clamp=_CLAMP))


def _concat(importer: _Importer, call: Call) -> Tensor:
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
    result = importer.add(
        call, "concatenate", values, tuple(shape), axis=ours, clamp=_CLAMP
    )
    view: list[Axes] = [()] * len(call.shape)
    for place, group in enumerate(groups):
        for number in group:
            view[number] = (place,)
    return Tensor(result, tuple(view))


def _activation(importer: _Importer, call: Call) -> Tensor:
    tensor = importer.tensor(call)
    attrs = {key: call.attrs[key] for key in ("function", "alpha", "beta")}
    return tensor.on(
        importer.add(call, "activation", [tensor.value], tensor.value.type.shape, **attrs)
    )


def _quantize(importer: _Importer, call: Call) -> Tensor:
    tensor = importer.tensor(call)
    meaning = Quantization((call.attrs["scale"],), call.attrs["zero_point"])
    type_ = TensorType(tensor.value.type.shape, DType.S8, meaning)
    where = importer.program.where(call)
    return tensor.on(importer.builder.node("quantize", [tensor.value], type_, where=where))


def _dequantize(importer: _Importer, call: Call) -> Tensor:
    tensor = importer.tensor(call)
    return tensor.on(
        importer.add(call, "dequantize", [tensor.value], tensor.value.type.shape)
    )


def _reshape(importer: _Importer, call: Call) -> Tensor:
    where = importer.program.where(call)
    return importer.layouts.viewed(importer.tensor(call), call.shape, where)


def _permute(importer: _Importer, call: Call) -> Tensor:
    return importer.tensor(call).permuted(transposition(call))


def _softmax(importer: _Importer, call: Call) -> Tensor:
    tensor = importer.tensor(call)
    where = importer.program.where(call)
    rank = len(call.shape)
    axis = int(call.attrs["axis"]) % rank
    if math.prod(call.shape) != call.shape[axis]:
        raise ModelError(
            f"a softmax over axis {axis} of {call.shape} is not supported",
            where=where,
            way_out="use softmax only as the last step of a classifier",
        )
    flat = importer.layouts.arranged(tensor, [(), (axis,)], where)
    result = importer.add(call, "softmax", [flat], flat.type.shape)
    return Tensor(result, tuple((1,) if number == axis else () for number in range(rank)))


_RULES: dict[str, Callable[[_Importer, Call], Tensor]] = {
    "conv": _conv,
    "dense": _dense,
    "pool": _pool,
    "add": _add,
    "multiply": _multiply,
    "concat": _concat,
    "activation": _activation,
    "quantize": _quantize,
    "dequantize": _dequantize,
    "reshape": _reshape,
    "permute_dims": _permute,
    "softmax": _softmax,
}
