"""What an ONNX model must be before its nodes are read: valid, not too old, of fixed shapes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinytrain.errors import ModelError, Where
from tinytrain.frontend.importing import quiet
from tinytrain.frontend.onnx.parse import all_tensors
from tinytrain.frontend.program import MAX_ELEMENTS

OPSET = 13
"""What is older is converted to this version; newer ones are read as they are."""


def upgrade(model: Any, file: str, notes: list[str]) -> Any:
    """The model in a version that can be read, by ONNX's own converter.

    Raises:
        ModelError: the converter refuses it.
    """
    import onnx
    from onnx import version_converter

    versions = {opset.domain or "ai.onnx": opset.version for opset in model.opset_import}
    opset = versions.get("ai.onnx")
    if opset is None:
        # scikit-learn's converters leave it out where all is of the domain ai.onnx.ml.
        model.opset_import.append(onnx.helper.make_opsetid("", OPSET))
        return model
    if opset >= OPSET:
        return model
    with quiet():
        try:
            converted = version_converter.convert_version(model, OPSET)
        # Written in C++, it raises RuntimeError and what pybind makes of other exceptions.
        except Exception as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise ModelError(
                f"the model uses opset {opset}, which onnx's converter cannot bring to {OPSET}",
                where=Where(file),
                help="export the model with opset 13 or newer",
                detail=(lines[-1] if lines else type(error).__name__)[:200],
            ) from error
    notes.append(f"the model was converted from opset {opset} to {OPSET} by onnx's converter")
    return converted


def unknown_operations(model: Any) -> list[str]:
    """Operations that ONNX itself does not know: its checker would only say that one is there."""
    import onnx

    return [
        node.op_type
        for node in model.graph.node
        if node.domain not in _DOMAINS or not onnx.defs.has(node.op_type, _DOMAINS[node.domain])
    ]


_DOMAINS = {"": "", "ai.onnx": "", "ai.onnx.ml": "ai.onnx.ml"}
"""Those that ONNX's checker knows, by the names that a file may have for them."""


def check_valid(model: Any, file: str) -> None:
    """Holds a model to the rules of ONNX itself."""
    import onnx

    for result in model.graph.output:
        # Shapes of results are inferred anyway; the checker only wants the field to be there.
        if result.type.HasField("tensor_type"):
            result.type.tensor_type.shape.SetInParent()
    with quiet():
        try:
            onnx.checker.check_model(model)
        except Exception as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise ModelError(
                "the model is not valid ONNX",
                where=Where(file),
                help="export or copy the file again; onnx.checker.check_model tells more",
                detail=(lines[0] if lines else type(error).__name__)[:200],
            ) from error


_TYPES = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})
"""From FLOAT, UINT8, ... to BOOL, FLOAT16 and DOUBLE of `onnx.TensorProto.DataType`."""
_OTHER_TYPE = (
    "export the model in float32, or quantized to int8 or uint8 with QuantizeLinear and "
    "DequantizeLinear"
)


def _type_name(kind: int) -> str:
    import onnx

    names = {number: name for name, number in onnx.TensorProto.DataType.items()}
    return f"{names.get(kind, kind)}, which cannot be read".lower()


def check_weights(model: Any, file: str) -> None:
    """Types and sizes of all constants; that they are finite, where there are many in one."""
    import onnx

    readers = {name: node.name for node in model.graph.node for name in node.input}
    for tensor in all_tensors(model):
        if tensor.data_type not in _TYPES:
            raise ModelError(
                f"the tensor '{tensor.name}' has the type {_type_name(tensor.data_type)}",
                where=Where(file, readers.get(tensor.name)),
                help=_OTHER_TYPE,
            )
        if math.prod(tensor.dims) > MAX_ELEMENTS:
            raise ModelError(
                f"the tensor '{tensor.name}' has {math.prod(tensor.dims)} elements, more than any "
                "target holds",
                where=Where(file, readers.get(tensor.name)),
                help="use a smaller model",
            )
        try:
            values = onnx.numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError, RuntimeError) as error:
            raise ModelError(
                f"the data of tensor '{tensor.name}' does not fit its shape {list(tensor.dims)}",
                where=Where(file, readers.get(tensor.name)),
                help="export or copy the file again; it may be cut off",
            ) from error
        # One number may be a bound that is none: the maximum with minus infinity.
        if values.dtype.kind == "f" and values.size > 1 and not np.isfinite(values).all():
            raise ModelError(
                f"the weights '{tensor.name}' hold NaN or infinity",
                where=Where(file, readers.get(tensor.name)),
                help="train or export the model again; a model with such weights cannot run",
            )


def fix_shapes(model: Any, file: str) -> None:
    """Sets a symbolic batch to 1; any other unknown dimension of the input is an error."""
    initializers = {tensor.name for tensor in model.graph.initializer}
    for given in model.graph.input:
        if given.name in initializers:
            continue
        if not given.type.HasField("tensor_type") or not given.type.tensor_type.HasField("shape"):
            raise ModelError(
                f"the input '{given.name}' has no shape",
                where=Where(file, given.name),
                help="export the model with a fixed input shape",
            )
        if given.type.tensor_type.elem_type not in _TYPES:
            raise ModelError(
                f"the input '{given.name}' has the type "
                f"{_type_name(given.type.tensor_type.elem_type)}",
                where=Where(file, given.name),
                help=_OTHER_TYPE,
            )
        for place, dimension in enumerate(given.type.tensor_type.shape.dim):
            if dimension.HasField("dim_value") and dimension.dim_value > 0:
                continue
            if place:
                symbol = dimension.dim_param or "?"
                raise ModelError(
                    f"dimension {place} of the input '{given.name}' is dynamic ('{symbol}')",
                    where=Where(file, given.name),
                    help="export the model with a fixed shape; only the batch may be symbolic",
                )
            dimension.dim_value = 1
    # What the file says about shapes inside may still name the symbolic batch.
    del model.graph.value_info[:]
    for result in model.graph.output:
        if result.type.HasField("tensor_type"):
            result.type.tensor_type.ClearField("shape")
