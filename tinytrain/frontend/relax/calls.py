"""Reads a TVM Relax module into plain Python: calls, constants and shapes, nothing of TVM's.

All later steps of the importer work on these calls, so that they can be read and tested without
TVM, and constants are folded in NumPy. (TVM's own constant folding would also fold
`dequantize(weights)`, and with it throw away the integers that a quantized model is made of.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinytrain.errors import ModelError, Where

MAX_ELEMENTS = 2**26
"""Elements of one tensor: far beyond any microcontroller, and safe for the host."""


@dataclass(frozen=True, eq=False)
class Const:
    """A constant: plain data, or integers with the affine map that gives them meaning.

    `scale` and `zero_point` have the shape of `data` (usually as broadcast views), so that they
    follow it through every reshape and transposition: real = scale * (data - zero_point).
    """

    data: np.ndarray
    scale: np.ndarray | None = None
    zero_point: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents."""
        return tuple(self.data.shape)

    def real(self) -> np.ndarray:
        """The numbers that it stands for, float64 when quantized."""
        if self.scale is None or self.zero_point is None:
            return self.data
        real: np.ndarray = (self.data.astype(np.float64) - self.zero_point) * self.scale
        return real


@dataclass(eq=False)
class Call:
    """One operation of the imported model. `args` are calls and constants; the rest is `attrs`."""

    op: str
    args: list[Call | Const]
    attrs: dict[str, Any]
    shape: tuple[int, ...]
    dtype: str
    name: str | None = None

    def source(self, number: int = 0) -> Call:
        """An argument that must not be constant.

        Raises:
            ModelError: it is.
        """
        found = self.args[number]
        if not isinstance(found, Call):
            raise ModelError(
                f"'{self.op}' works on a constant where it should work on what the input gives",
                where=Where(node=self.name),
                help="fold constants when exporting the model",
            )
        return found


@dataclass
class Program:
    """A model as a list of calls in execution order.

    Attributes:
        inputs: calls with op "input".
        output: the call whose result is the model's.
        file: name of the user's file, for errors.
    """

    inputs: list[Call]
    calls: list[Call]
    output: Call
    file: str | None = None
    notes: list[str] = field(default_factory=list)

    def users(self) -> dict[Call, list[Call]]:
        """The calls that read each call; the output has one more reader than listed."""
        users: dict[Call, list[Call]] = {}
        for call in self.calls:
            for arg in call.args:
                if isinstance(arg, Call):
                    users.setdefault(arg, []).append(call)
        return users

    def where(self, call: Call) -> Where:
        """The place of a call in the user's file."""
        return Where(self.file, call.name)

    def live(self) -> Program:
        """The same program without calls that the output does not need."""
        needed: set[Call] = {self.output}
        for call in reversed(self.calls):
            if call in needed:
                needed.update(arg for arg in call.args if isinstance(arg, Call))
        calls = [call for call in self.calls if call in needed]
        return Program(self.inputs, calls, self.output, self.file, self.notes)


def read_module(module: Any, file: str | None) -> Program:
    """Reads function `main` of a Relax module.

    Raises:
        ModelError: the function has control flow, a dynamic shape or several outputs.
    """
    from tvm import ir, relax

    function = module["main"]
    env: dict[Any, Any] = {}
    inputs = []
    for parameter in function.params:
        shape, dtype = _tensor_type(parameter.ty, parameter.name, file)
        call = Call("input", [], {}, shape, dtype, parameter.name)
        env[parameter] = call
        inputs.append(call)
    calls: list[Call] = []

    def resolve(expr: Any) -> Any:
        """A call, a constant, a tuple of those, or a plain Python value."""
        if isinstance(expr, ir.Var):
            return env[expr]
        if isinstance(expr, ir.GenericConst):
            return Const(expr.value.numpy())
        if isinstance(expr, relax.ShapeExpr):
            return tuple(_extent(value, "a shape", file) for value in expr.values)
        if isinstance(expr, ir.Tuple):
            return tuple(resolve(item) for item in expr.fields)
        if isinstance(expr, ir.TupleGetItem):
            return resolve(expr.tuple_value)[expr.index]
        if isinstance(expr, ir.Call):
            return _read_call(expr, "", resolve, calls, file)
        return _plain(expr, file)

    body = function.body
    for block in body.blocks:
        for binding in block.bindings:
            value = binding.value
            if isinstance(value, relax.If):
                raise ModelError(
                    "the model contains control flow (If), which cannot be compiled",
                    where=Where(file),
                    help="export the model with its branches resolved",
                )
            env[binding.var] = resolve(value)
    output = resolve(body.body)
    if isinstance(output, tuple) and len(output) == 1:
        output = output[0]
    if isinstance(output, tuple):
        raise ModelError(
            f"the model has {len(output)} outputs; tinytrain trains models with one",
            where=Where(file),
            help="export the model with the output that is to be trained, and no other",
        )
    if not isinstance(output, Call) or output.op == "input":
        raise ModelError("the output of the model does not depend on its input", where=Where(file))
    return Program(inputs, calls, output, file).live()


def _read_call(expr: Any, name: str, resolve: Any, calls: list[Call], file: str | None) -> Any:
    from tvm import ir, relax

    op = getattr(expr.op, "name", None)
    if op is None:
        raise ModelError("the model calls a function of its own", where=Where(file))
    op = op.removeprefix("relax.")
    if op == "call_tir":
        op = _loop_name(expr.args[0].name_hint)
    arguments: list[Call | Const] = []
    plain: list[Any] = []
    for arg in expr.args:
        if isinstance(arg, ir.GlobalVar):
            continue
        found = resolve(arg)
        for item in found if _is_tensors(found) else (found,):
            (arguments if isinstance(item, Call | Const) else plain).append(item)
    attrs = {key: _plain(value, file) for key, value in _attributes(expr.attrs)}
    attrs["plain"] = tuple(plain)
    if isinstance(expr.ty, relax.TupleType):
        # Only the first result is read (batch normalisation); others would be an error on use.
        types = list(expr.ty.fields)
        shape, dtype = _tensor_type(types[0], op, file)
        call = Call(op, arguments, attrs, shape, dtype)
        calls.append(call)
        rest = []
        for number, type_ in enumerate(types[1:], start=1):
            shape, dtype = _tensor_type(type_, op, file)
            part = Call("tuple_item", [call], {"index": number, "of": op}, shape, dtype)
            calls.append(part)
            rest.append(part)
        return (call, *rest)
    shape, dtype = _tensor_type(expr.ty, op, file)
    call = Call(op, arguments, attrs, shape, dtype)
    calls.append(call)
    return call


def _loop_name(name: str) -> str:
    """The operation that a loop of TVM's came from: its name, without the number behind it."""
    stem = name.rstrip("0123456789")
    return stem if stem in ("maximum", "minimum") else f"loop '{stem}'"


def _is_tensors(found: Any) -> bool:
    return isinstance(found, tuple) and any(isinstance(item, Call | Const) for item in found)


def _attributes(attrs: Any) -> Iterator[tuple[str, Any]]:
    if attrs is None:
        return
    for info in type(attrs).__tvm_ffi_type_info__.fields:
        yield info.name, getattr(attrs, info.name)


def _plain(value: Any, file: str | None) -> Any:
    """A Python value for a TVM attribute or primitive expression."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if type(value).__name__ in ("IntImm", "FloatImm", "StringImm"):
        return value.value
    if type(value).__name__ == "DataTypeImm":
        return str(value.value)
    try:
        return tuple(_plain(item, file) for item in value)
    except TypeError:
        return str(value)


def _extent(value: Any, what: str, file: str | None) -> int:
    plain = getattr(value, "value", None)
    if not isinstance(plain, int):
        raise ModelError(
            f"{what} has the dynamic dimension '{value}'; every shape must be known",
            where=Where(file),
            help="export the model with fixed shapes",
        )
    return int(plain)


def _tensor_type(type_: Any, what: str, file: str | None) -> tuple[tuple[int, ...], str]:
    shape = getattr(type_, "shape", None)
    if shape is None or getattr(shape, "values", None) is None:
        if type(type_).__name__ == "ShapeType":
            return (), "shape"
        raise ModelError(
            f"the shape of '{what}' is not known before the model runs",
            where=Where(file),
            help="export the model with fixed shapes",
        )
    extents = tuple(_extent(value, f"'{what}'", file) for value in shape.values)
    if any(extent < 1 for extent in extents):
        raise ModelError(
            f"'{what}' has the shape {list(extents)}, so nothing is left of the map there",
            where=Where(file),
            help="give the model a larger input, or look at its windows and paddings",
        )
    if math.prod(extents) > MAX_ELEMENTS:
        raise ModelError(
            f"'{what}' yields {math.prod(extents)} numbers, more than any target holds",
            where=Where(file),
            help="use a smaller model or input",
        )
    dtype = getattr(type_.dtype, "dtype", type_.dtype)
    return extents, str(dtype)
