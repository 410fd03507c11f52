"""TFLite files: checked as far as a FlatBuffer can be, then TVM's importer."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinytrain.errors import ModelError, TinytrainError, Where
from tinytrain.frontend.importing import call_importer, quiet
from tinytrain.frontend.relax.calls import MAX_ELEMENTS
from tinytrain.frontend.relax.importer import LayerNames, import_relax
from tinytrain.ir.graph import Graph
from tinytrain.ir.source import ModelSource

SUPPORTED = frozenset(
    {
        "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEQUANTIZE",
        "DIV", "EXPAND_DIMS", "FULLY_CONNECTED", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC",
        "MAX_POOL_2D", "MEAN", "MUL", "PAD", "QUANTIZE", "RELU", "RELU6", "RESHAPE", "SOFTMAX",
        "SQUEEZE", "SUB", "TANH", "TRANSPOSE",
    }
)  # fmt: skip
_NAMED: dict[tuple[str, ...], tuple[str, ...]] = {
    ("nn.conv2d",): ("CONV_2D", "DEPTHWISE_CONV_2D"),
    ("matmul",): ("FULLY_CONNECTED",),
    ("nn.max_pool2d",): ("MAX_POOL_2D",),
    ("nn.avg_pool2d",): ("AVERAGE_POOL_2D",),
    ("concat",): ("CONCATENATION",),
    ("nn.softmax",): ("SOFTMAX",),
    ("mean",): ("MEAN",),
    ("nn.pad",): ("PAD",),
}


def load_tflite(data: bytes, path: Path, name: str) -> Graph:
    """Reads a TFLite model; see `tinytrain.frontend.load_model`.

    The input of an int8 model is read as f32 followed by `quantize`, so that data stay in the
    model's real units; an int8 output is followed by `dequantize`.
    """
    file = path.name
    if len(data) < 16 or data[4:8] != b"TFL3":
        raise ModelError(
            "the file is no TFLite model",
            where=Where(file),
            help="convert the model again; a TFLite file has 'TFL3' at its fifth byte",
        )
    model, operations = _checked(data, file)

    def convert() -> Any:
        from tvm.relax.frontend.tflite import from_tflite

        return from_tflite(model)

    module = call_importer(
        convert, file, "convert the model again with the current TFLite converter, int8 or float"
    )
    source = ModelSource(file, hashlib.sha256(data).hexdigest())
    names: LayerNames = {
        relax: [label for kind, label in operations if kind in kinds]
        for relax, kinds in _NAMED.items()
    }
    return import_relax(module, name=name, source=source, channels_last=True, layer_names=names)


def _checked(data: bytes, file: str) -> tuple[Any, list[tuple[str, str]]]:
    """The model, and (kind, name) of each operation.

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


def _walk(data: bytes, file: str) -> tuple[Any, list[tuple[str, str]]]:
    import tflite

    model = tflite.Model.GetRootAsModel(data, 0)
    limit = len(data)

    def count(length: Callable[[], int], least: int = 0) -> int:
        number = length()
        if not least <= number <= limit:
            raise ValueError(f"a count of {number}")
        return number

    if count(model.SubgraphsLength, 1) > 1:
        raise ModelError(
            "the model has several subgraphs (control flow), which cannot be compiled",
            where=Where(file),
            help="convert the model without loops and branches",
        )
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
    kinds = {code: label for label, code in vars(tflite.BuiltinOperator).items() if label.isupper()}
    operations = []
    codes = count(model.OperatorCodesLength, 1)
    for number in range(count(subgraph.OperatorsLength, 1)):
        operator = subgraph.Operators(number)
        code = model.OperatorCodes(_index(operator.OpcodeIndex(), codes))
        kind = kinds.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), "unknown")
        if kind == "CUSTOM":
            kind = (code.CustomCode() or b"CUSTOM").decode("ascii", "replace")
        for place in range(count(operator.InputsLength)):
            if operator.Inputs(place) != -1:
                _index(operator.Inputs(place), tensors)
        output = subgraph.Tensors(_index(operator.Outputs(0), tensors))
        label = (output.Name() or b"").decode("utf-8", "replace") or f"{kind}_{number}"
        if kind not in SUPPORTED:
            raise ModelError(
                f"operation '{kind}' is not supported",
                where=Where(file, label),
                help="build the model from what is supported: " + ", ".join(sorted(SUPPORTED)),
            )
        operations.append((kind, label))
    return model, operations


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
