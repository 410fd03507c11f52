"""A TFLite file as plain Python: tensors with their integers' meaning, operators with options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from tinytrain.frontend.program import Shape

DTYPES = {
    "FLOAT32": "float32", "FLOAT16": "float16", "INT8": "int8", "UINT8": "uint8",
    "INT16": "int16", "INT32": "int32", "INT64": "int64", "BOOL": "bool", "FLOAT64": "float64",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class FileTensor:
    """One tensor of the file. Its index is what tells it apart: names may be equal, or empty.

    Attributes:
        name: as in the file, or made from its index.
        dtype: NumPy's name, or TFLite's where NumPy has none.
        data: of a constant; None otherwise.
        scale, zero_point, axis: of integers; scale is empty where they mean nothing but themselves.
    """

    index: int
    name: str
    shape: Shape
    dtype: str
    data: np.ndarray | None
    scale: np.ndarray
    zero_point: np.ndarray
    axis: int

    @property
    def key(self) -> str:
        """Tells it apart from all others, whatever their names are."""
        return f"{self.index}:{self.name}"

    @property
    def is_quantized(self) -> bool:
        """Whether integers stand for reals."""
        return self.scale.size > 0 and self.dtype in ("int8", "uint8", "int16", "int32", "int64")


@dataclass(frozen=True, eq=False)
class Operator:
    """One operator. `inputs` has -1 for one that is left out."""

    kind: str
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any]
    defaults: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class TfliteModel:
    """The only subgraph of a file."""

    tensors: tuple[FileTensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def parse(model: Any) -> TfliteModel:
    """Reads a FlatBuffer that `check.checked` has gone over."""
    subgraph = model.Subgraphs(0)
    tensors = tuple(_tensor(subgraph.Tensors(k), k, model) for k in range(subgraph.TensorsLength()))
    operators = tuple(
        _operator(subgraph.Operators(k), k, model, tensors)
        for k in range(subgraph.OperatorsLength())
    )
    inputs = tuple(subgraph.Inputs(k) for k in range(subgraph.InputsLength()))
    outputs = tuple(subgraph.Outputs(k) for k in range(subgraph.OutputsLength()))
    return TfliteModel(tensors, operators, inputs, outputs)


def _names(enumeration: Any) -> dict[int, str]:
    return {code: label for label, code in vars(enumeration).items() if label.isupper()}


def _tensor(tensor: Any, index: int, model: Any) -> FileTensor:
    import tflite

    shape = tuple(tensor.Shape(axis) for axis in range(tensor.ShapeLength()))
    label = _names(tflite.TensorType).get(tensor.Type(), "UNKNOWN")
    dtype = DTYPES.get(label, label)
    buffer = model.Buffers(tensor.Buffer())
    data = None
    if tensor.Buffer() and buffer.DataLength() and label in DTYPES:
        raw = buffer.DataAsNumpy().tobytes()
        data = np.frombuffer(raw, dtype=np.dtype(dtype).newbyteorder("<"))
        data = data.astype(np.dtype(dtype)).reshape(shape)
    meaning = tensor.Quantization()
    scale, point, axis = np.empty(0, np.float32), np.empty(0, np.int64), 0
    if meaning is not None and meaning.ScaleLength():
        scale = np.array([meaning.Scale(k) for k in range(meaning.ScaleLength())], np.float32)
        point = np.array(
            [meaning.ZeroPoint(k) for k in range(meaning.ZeroPointLength())] or [0], np.int64
        )
        axis = meaning.QuantizedDimension()
        # Converters write the dimension of the weights beside their bias, too.
        axis = axis if axis < len(shape) and scale.size == shape[axis] else _axis_of(scale, shape)
    name = (tensor.Name() or b"").decode("utf-8", "replace") or f"tensor_{index}"
    return FileTensor(index, name, shape, dtype, data, scale, point, axis)


def _axis_of(scale: np.ndarray, shape: Shape) -> int:
    return shape.index(scale.size) if scale.size in shape else 0


def _operator(operator: Any, number: int, model: Any, tensors: tuple[FileTensor, ...]) -> Operator:
    import tflite

    code = model.OperatorCodes(operator.OpcodeIndex())
    builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    kind = _names(tflite.BuiltinOperator).get(builtin, f"builtin {builtin}")
    if kind == "CUSTOM":
        kind = (code.CustomCode() or b"CUSTOM").decode("ascii", "replace")
    inputs = tuple(operator.Inputs(k) for k in range(operator.InputsLength()))
    outputs = tuple(operator.Outputs(k) for k in range(operator.OutputsLength()))
    named = [tensors[index].name for index in outputs]
    name = named[0] if named else f"{kind}_{number}"
    options, defaults = _options(operator)
    return Operator(kind, name, inputs, outputs, options, defaults)


def _options(operator: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of all options that the schema knows, and what each is where it is left out."""
    import tflite

    label = {code: name for name, code in vars(tflite.BuiltinOptions).items() if name[0] != "_"}
    name = label.get(operator.BuiltinOptionsType(), "NONE")
    table = operator.BuiltinOptions()
    if name == "NONE" or table is None:
        return {}, {}
    options = getattr(tflite, name)()
    options.Init(table.Bytes, table.Pos)
    return {field: _value(options, field) for field in option_fields(name)}, _defaults(name)


@cache
def option_fields(name: str) -> tuple[str, ...]:
    """The scalar fields of a table of options of the schema, and its vectors."""
    import tflite

    members = [
        member
        for member in vars(getattr(tflite, name))
        if member[0].isupper()
        and not member.startswith(("GetRootAs", name, "Init"))
        and not member.endswith(("AsNumpy", "IsNone", "Length"))
    ]
    return tuple(sorted(members))


def _value(options: Any, field: str) -> Any:
    if hasattr(options, f"{field}Length"):
        length = getattr(options, f"{field}Length")()
        return tuple(getattr(options, field)(k) for k in range(length))
    return getattr(options, field)()


@cache
def _defaults(name: str) -> dict[str, Any]:
    import flatbuffers
    import tflite

    builder = flatbuffers.Builder(0)
    builder.StartObject(0)
    builder.Finish(builder.EndObject())
    empty = getattr(tflite, name).GetRootAs(bytes(builder.Output()), 0)
    return {field: _value(empty, field) for field in option_fields(name)}
