"""Writes the graph: fused calls in the user's layout become nodes in ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tinytrain.errors import ModelError
from tinytrain.frontend.graph_writer import GraphWriter
from tinytrain.frontend.lower.layout import Axes, Layouts, Tensor
from tinytrain.frontend.lower.shared import SharedConstants
from tinytrain.frontend.lower.weights import bias_value, weight_value
from tinytrain.frontend.program import Call, Const, Program
from tinytrain.ir.graph import Graph, Value
from tinytrain.ir.source import InputSource, ModelSource
from tinytrain.ir.types import DType, TensorType

Rules = Mapping[str, Callable[["GraphImporter", Call], Tensor]]


class GraphImporter:
    """State of one import: what each call has become, and helpers for the rules of the calls."""

    def __init__(
        self,
        program: Program,
        name: str,
        source: ModelSource,
        rules: Rules,
    ) -> None:
        self.program = program
        self.rules = rules
        self.builder = GraphWriter(name, source)
        self.layouts = Layouts(self.builder)
        self.tensors: dict[Call, Tensor] = {}
        self.sources: dict[Value, str] = {}
        self.users = program.users()
        self.classifiers = _classifiers(program, self.users)
        self.shared = SharedConstants(program.notes)

    def run(self) -> Graph:
        self._inputs(self.program.inputs)
        for call in self.program.calls:
            self.tensors[call] = self.rules[call.op](self, call)
        output = self.tensors[self.program.output]
        self.builder.source = replace(self.builder.source, notes=tuple(self.program.notes))
        where = self.program.where(self.program.output)
        result = self._output(output)
        if result in self.builder.inputs:
            raise ModelError(
                "the model computes nothing: its output is its input",
                where=where,
                help="give a model with at least one layer",
            )
        return self.builder.finish([result])

    def _output(self, output: Tensor) -> Value:
        """The model's result: a vector, or a map with its channels innermost.

        Of a map the source records how the user's model has it, for labels and for comparisons.
        """
        where = self.program.where(self.program.output)
        shape = output.shape
        if len(shape) > 1 and shape[0] != 1:
            raise ModelError(
                f"the output has shape {list(shape)}, a batch of {shape[0]}; the model must give "
                "the result of one sample",
                where=where,
                help="export the model with a batch of 1, and with an example that has it in "
                "front: example[None]",
            )
        wide = [axis for axis, extent in enumerate(shape) if extent != 1]
        if len(wide) <= 1 or len(shape) not in (3, 4):
            self._declare_output(shape, "N" + "C" * (len(shape) - 1))
            if len(shape) == 2:
                return self.layouts.plain(output, where)
            flat = self.layouts.arranged(output, [(), tuple(range(len(shape)))], where)
            return self.layouts.reshaped(flat, (1, math.prod(shape)), where)
        if shape[0] != 1:
            raise ModelError(
                f"the output has the shape {list(shape)}, which has no batch of 1 in front",
                where=where,
                help="keep the first axis through the model, and export it with a batch of 1",
            )
        channels = self._channels_of(output)
        spatial: list[Axes] = [(axis,) for axis in range(1, len(shape)) if axis != channels]
        letters = iter("HW" if len(spatial) == 2 else "L")
        layout = "".join(
            "N" if axis == 0 else "C" if axis == channels else next(letters)
            for axis in range(len(shape))
        )
        self._declare_output(shape, layout)
        spatial = spatial if len(spatial) == 2 else [(), *spatial]
        return self.layouts.arranged(output, [(0,), *spatial, (channels,)], where)

    def _declare_output(self, shape: tuple[int, ...], layout: str) -> None:
        self.builder.source = replace(self.builder.source, output_shape=shape, output_layout=layout)

    def _channels_of(self, output: Tensor) -> int:
        """The axis of a map that has its channels: the one that lies innermost, if that is one."""
        rank = len(output.shape)
        innermost = len(output.value.type.shape) - 1
        if len(output.value.type.shape) == 4 and (innermost,) in output.view:
            return output.view.index((innermost,))
        return rank - 1 if self.program.channels_last else 1

    # --- values -----------------------------------------------------------------------------------

    def _inputs(self, calls: list[Call]) -> None:
        if len(calls) == 1:
            found = self._input(calls[0], "x")
            source = replace(self.builder.source, shape=found.shape, layout=found.layout)
        else:
            for call in calls:
                if call not in self.users:
                    raise ModelError(
                        f"the input '{call.name}' is not needed for the output",
                        where=self.program.where(call),
                        help="export the model without it",
                    )
            several = tuple(self._input(call, f"x{place}") for place, call in enumerate(calls))
            size = sum(value.type.size for value in self.builder.inputs)
            source = replace(self.builder.source, shape=(1, size), layout="NC", inputs=several)
        self.builder.source = source

    def _input(self, call: Call, name: str) -> InputSource:
        shape = call.shape
        if not shape or shape[0] != 1:
            raise ModelError(
                f"the input '{call.name}' has shape {shape}, a batch of "
                f"{shape[0] if shape else 0}; the model must take one sample at a time",
                where=self.program.where(call),
                help="export the model with a batch of 1",
            )
        last = self._input_has_channels_last(call)
        rank = len(shape)
        if rank not in (2, 3, 4):
            raise ModelError(
                f"the input '{call.name}' has {rank} dimensions; 2, 3 and 4 can be read",
                where=self.program.where(call),
                help="export the model with an input of [1,I], [1,C,L] or [1,C,H,W]",
            )
        ours: tuple[int, ...]
        view: tuple[Axes, ...]
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
        value = self.builder.input(name, TensorType(ours, DType.F32))
        self.tensors[call] = Tensor(value, view)
        return InputSource(str(call.name), shape, layout)

    def _input_has_channels_last(self, call: Call) -> bool:
        """Looks where the first layer, or a transposition before it, has the channels."""
        rank = len(call.shape)
        reached = [call]
        for item in reached:
            for user in self.users.get(item, []):
                if user.op == "permute":
                    return user.attrs["axes"] in ((0, 3, 1, 2), (0, 2, 1))
                if "channel_axis" in user.attrs and len(user.shape) == rank:
                    return bool(user.attrs["channel_axis"] == rank - 1)
                if len(user.shape) == rank:
                    reached.append(user)
        return self.program.channels_last

    def tensor(self, call: Call, number: int = 0) -> Tensor:
        """Argument `number` of a call."""
        return self.tensors[call.source(number)]

    def map_of(self, call: Call) -> Value:
        """The argument as [1,H,W,C]; a 1-D signal gets height 1."""
        tensor = self.tensor(call)
        axis = call.attrs["channel_axis"]
        spatial: list[Axes] = [(number,) for number in range(1, len(tensor.view)) if number != axis]
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
                help="use padding that is smaller than the window, without ceil_mode",
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
        w = self.shared.get(
            weights, where, lambda: weight_value(self.builder, f"{stem}_w", weights, where, notes)
        )
        b = self.shared.bias(w, bias, lambda: bias_value(self.builder, f"{stem}_b", bias, where))
        for value, const in ((w, weights), (b, bias)):
            if const.source is not None:
                self.sources[value] = const.source
        return w, b


def _classifiers(program: Program, users: Mapping[Call, list[Call]]) -> set[Call]:
    """Convolutions on a 1x1 map whose result is, but for views and softmax, the model's output."""
    call = program.output
    while call.op in ("softmax", "reshape", "quantize", "dequantize", "permute"):
        call = call.source()
        if len(users.get(call, [])) > 1:
            return set()
    if (
        call.op != "conv"
        or call.attrs["groups"] != 1
        or math.prod(call.shape) != call.shape[call.attrs["channel_axis"]]
    ):
        return set()
    weights = call.args[1]
    whole = call.source().shape
    assert isinstance(weights, Const)
    single = math.prod(whole) == whole[call.attrs["channel_axis"]]
    return {call} if single and weights.shape[1:3] == (1, 1) else set()
