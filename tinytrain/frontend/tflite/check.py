"""Whether a FlatBuffer holds together: it has no checksum, and its reader follows any offset."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tinytrain.errors import ModelError, TinytrainError, Where
from tinytrain.frontend.importing import quiet
from tinytrain.frontend.program import MAX_ELEMENTS
from tinytrain.frontend.refusals import in_its_layer, layer_around

_NAMES = 10_000
"""Tensors whose names are looked through for a layer."""


def checked(data: bytes, file: str) -> Any:
    """The model as a FlatBuffer whose counts and indices hold.

    A FlatBuffer carries no checksum, and its Python reader follows any offset; so every count is
    held against the size of the file first, and any failure to read means a damaged file.
    """
    try:
        with quiet():
            return _walk(data, file)
    except (TinytrainError, MemoryError):
        raise
    except Exception as error:
        raise ModelError(
            "the TFLite file is damaged",
            where=Where(file),
            help="convert or copy the file again, and compare its size with the original",
        ) from error


def _walk(data: bytes, file: str) -> Any:
    import tflite

    model = tflite.Model.GetRootAsModel(data, 0)
    limit = len(data)

    def count(length: Callable[[], int], least: int = 0) -> int:
        number = length()
        if not least <= number <= limit:
            raise ValueError(f"a count of {number}")
        return number

    if count(model.SubgraphsLength, 1) > 1:
        raise _several_subgraphs(model.Subgraphs(0), file)
    for number in range(count(model.BuffersLength)):
        buffer = model.Buffers(number)
        size = count(buffer.DataLength)
        if size and len(buffer.DataAsNumpy()) != size:
            raise ValueError("a buffer is cut off")
    subgraph = model.Subgraphs(0)
    tensors = count(subgraph.TensorsLength, 1)
    for number in range(tensors):
        _check_tensor(subgraph.Tensors(number), model, count)
    for place in range(count(subgraph.InputsLength, 1)):
        _check_input(subgraph.Tensors(_index(subgraph.Inputs(place), tensors)), file)
    count(subgraph.OutputsLength, 1)
    codes = count(model.OperatorCodesLength, 1)
    for number in range(count(subgraph.OperatorsLength, 1)):
        operator = subgraph.Operators(number)
        _index(operator.OpcodeIndex(), codes)
        for place in range(count(operator.InputsLength)):
            if operator.Inputs(place) != -1:
                _index(operator.Inputs(place), tensors)
        for place in range(count(operator.OutputsLength)):
            _index(operator.Outputs(place), tensors)
    for place in range(subgraph.OutputsLength()):
        _index(subgraph.Outputs(place), tensors)
    return model


def _several_subgraphs(main: Any, file: str) -> ModelError:
    names = [(main.Tensors(k).Name() or b"").decode("utf-8", "replace") for k in
             range(min(main.TensorsLength(), _NAMES))]  # fmt: skip
    around = next((found for name in names if (found := layer_around(name))), None)
    if around is not None:
        what, help = in_its_layer("a loop is not supported", around[1], None)
        return ModelError(what, where=Where(file, around[1]), help=help)
    return ModelError(
        "the model has several subgraphs: control flow, or variables of a streaming model",
        where=Where(file),
        help="convert the model without loops and branches; of a streaming model, the one that "
        "takes a whole window at once",
    )


def _index(number: int, count: int) -> int:
    if not 0 <= number < count:
        raise ValueError(f"index {number} of {count}")
    return number


def _check_tensor(tensor: Any, model: Any, count: Callable[..., int]) -> None:
    shape = [tensor.Shape(axis) for axis in range(count(tensor.ShapeLength))]
    if any(extent < 0 for extent in shape) or math.prod(shape) > MAX_ELEMENTS:
        raise ValueError(f"a tensor of shape {shape}")
    _index(tensor.Buffer(), model.BuffersLength())
    quantization = tensor.Quantization()
    if quantization is not None:
        count(quantization.ScaleLength)
        count(quantization.ZeroPointLength)


def _check_input(tensor: Any, file: str) -> None:
    name = (tensor.Name() or b"").decode("utf-8", "replace")
    for axis in range(1, tensor.ShapeSignatureLength()):
        if tensor.ShapeSignature(axis) < 0:
            raise ModelError(
                f"dimension {axis} of the input '{name}' is dynamic",
                where=Where(file, name),
                help="convert the model with a fixed shape; only the batch may be symbolic",
            )
