"""Writes an ONNX file again with other numbers in its initializers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinytrain.errors import ModelError, Where
from tinytrain.frontend.importing import quiet

_PASSED = frozenset(
    {"DequantizeLinear", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Cast", "Identity"}
)
"""What may stand between weights and the layer that reads them."""


def with_numbers(model: Any, numbers: Mapping[str, np.ndarray]) -> Any:
    """The model, or a copy with other numbers in the initializers of these names."""
    if not numbers:
        return model
    import onnx

    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for tensor in changed.graph.initializer:
        if tensor.name in numbers:
            tensor.CopyFrom(onnx.numpy_helper.from_array(numbers[tensor.name], tensor.name))
    return changed


def write_onnx(
    data: bytes,
    file: str,
    tensors: Mapping[str, np.ndarray],
    biases: Mapping[str, np.ndarray],
) -> bytes:
    """The file with other numbers.

    Args:
        data: an ONNX file with all its data in it.
        file: its name, for errors.
        tensors: new numbers by the name of the initializer. Of another shape they are those of a
            head with other outputs; reals in the place of integers go around their dequantization.
        biases: float32 [O] of layers without a bias, by the name of the initializer that holds the
            layer's weights.

    Raises:
        ModelError: there is no such initializer, or the rest of the file does not fit a new shape.
    """
    import onnx

    model = onnx.load_from_string(data)
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    is_reshaped = False
    for name, array in tensors.items():
        if name not in held:
            raise ModelError(
                f"the file has no initializer '{name}' that numbers could go back to",
                where=Where(file),
                help="use Device.state_dict(), which has them by name",
            )
        old = onnx.numpy_helper.to_array(held[name])
        is_reshaped = is_reshaped or old.shape != array.shape
        if old.dtype.kind != "f" and array.dtype.kind == "f":
            _go_around(model.graph, name, array)
            continue
        new = onnx.numpy_helper.from_array(array.astype(old.dtype), name)
        held[name].CopyFrom(new)
    for name, array in biases.items():
        _add_bias(model.graph, file, name, array.astype(np.float32))
    if is_reshaped:
        _forget_shapes(model.graph)
    return _checked(model, file, is_reshaped=is_reshaped)


def _checked(model: Any, file: str, *, is_reshaped: bool) -> bytes:
    import onnx

    try:
        with quiet():
            shaped = onnx.shape_inference.infer_shapes(model, strict_mode=is_reshaped)
            onnx.checker.check_model(shaped)
    # Shape inference raises errors of C++ beside its own.
    except Exception as error:
        raise ModelError(
            "the rest of the file does not fit a head with another number of classes",
            where=Where(file),
            detail=" ".join(str(error).split())[:200],
            help="use Device.state_dict(), and build the model with as many classes",
        ) from error
    written: bytes = (shaped if is_reshaped else model).SerializeToString()
    return written


def _go_around(graph: Any, name: str, array: np.ndarray) -> None:
    """Lets the readers of a dequantized initializer read reals."""
    import onnx

    reals = f"{name}_learned"
    graph.initializer.append(onnx.numpy_helper.from_array(array.astype(np.float32), reals))
    dequantized = {
        node.output[0] for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] == name
    }  # fmt: skip
    for node in graph.node:
        for place, given in enumerate(node.input):
            if given in dequantized:
                node.input[place] = reals


def _add_bias(graph: Any, file: str, name: str, array: np.ndarray) -> None:
    """Adds a bias to the layer that reads these weights, as an operand or as a sum behind it."""
    import onnx

    layer = _reader(graph, name)
    if layer is None:
        raise ModelError(
            f"no single layer reads '{name}', so that its new bias has no place",
            where=Where(file),
            help="give the layer a bias in the model, or use Device.state_dict()",
        )
    bias = f"{name}_bias"
    graph.initializer.append(onnx.numpy_helper.from_array(array, bias))
    if layer.op_type in ("Conv", "Gemm") and len(layer.input) == 2:
        layer.input.append(bias)
        return
    result = layer.output[0]
    layer.output[0] = f"{result}_without_bias"
    added = onnx.helper.make_node("Add", [layer.output[0], bias], [result], f"{layer.name}_bias")
    graph.node.insert(list(graph.node).index(layer) + 1, added)


def _reader(graph: Any, name: str) -> Any:
    """The layer that reads weights, perhaps moved and dequantized; None if there are several."""
    while True:
        readers = [node for node in graph.node if name in node.input]
        if len(readers) != 1:
            return None
        (reader,) = readers
        if reader.op_type not in _PASSED:
            return reader if reader.op_type in ("Conv", "Gemm", "MatMul") else None
        name = reader.output[0]


def _forget_shapes(graph: Any) -> None:
    """Leaves the shapes of results to be worked out anew."""
    del graph.value_info[:]
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
