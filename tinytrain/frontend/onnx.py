"""ONNX files: checked by `onnx` itself, shapes made static, then TVM's importer."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinytrain.errors import ModelError, Where
from tinytrain.frontend.importing import call_importer, quiet
from tinytrain.frontend.onnx_fold import fold_shapes
from tinytrain.frontend.onnx_rewrite import rewrite_nodes
from tinytrain.frontend.relax.calls import MAX_ELEMENTS
from tinytrain.frontend.relax.importer import LayerNames, import_relax
from tinytrain.ir.graph import Graph
from tinytrain.ir.source import ModelSource

MIN_OPSET = 13
_MAX_EXTERNAL = 2**30

SUPPORTED = frozenset(
    {
        "Add", "AveragePool", "BatchNormalization", "Clip", "Concat", "Constant", "Conv",
        "DequantizeLinear", "Div", "Dropout", "Flatten", "Gemm", "GlobalAveragePool", "HardSigmoid",
        "HardSwish", "Identity", "LeakyRelu", "MatMul", "Max", "MaxPool", "Min", "Mul", "Pad",
        "QuantizeLinear", "ReduceMean", "Relu", "Reshape", "Sigmoid", "Softmax", "Squeeze", "Sub",
        "Tanh", "Transpose", "Unsqueeze",
    }
)  # fmt: skip

_NAMED: dict[tuple[str, ...], tuple[str, ...]] = {
    ("nn.conv1d", "nn.conv2d", "nn.conv3d"): ("Conv",),
    ("matmul",): ("Gemm", "MatMul"),
    ("nn.max_pool1d", "nn.max_pool2d"): ("MaxPool",),
    ("nn.avg_pool1d", "nn.avg_pool2d"): ("AveragePool",),
    ("concat",): ("Concat",),
    ("nn.softmax",): ("Softmax",),
    ("nn.relu",): ("Relu",),
    ("nn.leakyrelu",): ("LeakyRelu",),
    ("clip",): ("HardSigmoid", "HardSwish"),
    ("permute_dims",): ("Transpose",),
}
"""Operations of Relax, and the ONNX nodes that become exactly one of them each."""


def load_onnx(data: bytes, path: Path, name: str) -> Graph:
    """Reads an ONNX model; see `tinytrain.frontend.load_model`."""
    model = _parse(data, path)
    file = path.name
    _load_external_data(model, path)
    _check_header(model, file)
    _name_nodes(model)
    _check_operations(model, file, known_to_onnx=True)
    _check_valid(model, file)
    _check_weights(model, file)
    _fix_shapes(model, file)
    model = fold_shapes(model, file)
    _check_operations(model, file, known_to_onnx=False)
    model = rewrite_nodes(model, file)

    from tvm.relax.frontend.onnx import from_onnx

    module = call_importer(
        lambda: from_onnx(model, keep_params_in_input=False),
        file,
        "export the model again with constant shapes, or without this operation",
    )
    source = ModelSource(file, hashlib.sha256(data).hexdigest())
    names = _layer_names(model)
    return import_relax(module, name=name, source=source, layer_names=names)


def _parse(data: bytes, path: Path) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError, RuntimeError, TypeError) as error:
        raise ModelError(
            "the file is no ONNX model, or only the beginning of one",
            where=Where(path.name),
            help="export or copy the file again, and compare its size with the original",
        ) from error
    if not model.HasField("graph") or not model.graph.node:
        raise ModelError(
            "the file holds no ONNX graph",
            where=Where(path.name),
            help="export or copy the file again; it may be empty, cut off or of another kind",
        )
    if not _names_are_text(model):
        raise ModelError(
            "a name in the file is no text, so the file is damaged",
            where=Where(path.name),
            help="export or copy the file again",
        )
    return model


def _names_are_text(model: Any) -> bool:
    """False where a name is no UTF-8: depending on the reader it comes as bytes, or not at all."""
    try:
        return all(isinstance(text, str) for text in _texts(model))
    except UnicodeDecodeError:
        return False


def _texts(model: Any) -> Iterator[Any]:
    for node in model.graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        for attribute in node.attribute:
            yield attribute.name
            yield attribute.t.name
    for tensor in model.graph.initializer:
        yield tensor.name
        yield from (text for entry in tensor.external_data for text in (entry.key, entry.value))
    for value in (*model.graph.input, *model.graph.output):
        yield value.name
        yield from (dimension.dim_param for dimension in value.type.tensor_type.shape.dim)


def _tensors(model: Any) -> list[Any]:
    """All tensors with data: initializers and attributes of nodes."""
    held = list(model.graph.initializer)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                held.append(attribute.t)
            held.extend(attribute.tensors)
    return held


def _inside(folder: Path, location: str) -> Path | None:
    """The file, or None where an absolute path, "..", a symbolic link or nonsense leads out."""
    try:
        held = (folder / location).resolve()
    # Links in a circle, a name that is too long, a zero byte.
    except (OSError, RuntimeError, ValueError):
        return None
    inside = location and folder in held.parents and not Path(location).is_absolute()
    return held if inside else None


def _load_external_data(model: Any, path: Path) -> None:
    import onnx

    folder, room = path.resolve().parent, _MAX_EXTERNAL
    for tensor in _tensors(model):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        where = Where(path.name, tensor.name)
        held = _inside(folder, location)
        if held is None:
            raise ModelError(
                f"the model asks for data outside of its folder: '{location}'",
                where=where,
                help="keep external data beside the model file, or save it in one file",
            )
        try:
            offset, length = int(entries.get("offset", 0)), int(entries.get("length", -1))
            if not held.is_file():
                raise FileNotFoundError
            with held.open("rb") as file:
                file.seek(offset)
                # A file that many tensors name is read many times, but never more than fits.
                raw = file.read(min(length, room) if length >= 0 else room)
                room -= len(raw)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"the model's external data '{location}' cannot be read",
                where=where,
                help="copy the data file together with the model",
            ) from error
        tensor.raw_data = raw
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]


def _check_header(model: Any, file: str) -> None:
    versions = {opset.domain or "ai.onnx": opset.version for opset in model.opset_import}
    opset = versions.get("ai.onnx", 0)
    if opset < MIN_OPSET:
        raise ModelError(
            f"the model uses opset {opset}; {MIN_OPSET} is the oldest that can be read",
            where=Where(file),
            help="export with a newer opset, or use onnx.version_converter",
        )


def _name_nodes(model: Any) -> None:
    """Gives nodes without a name the name of their first output."""
    for number, node in enumerate(model.graph.node):
        if not node.name:
            outputs = [output for output in node.output if output]
            node.name = outputs[0] if outputs else f"{node.op_type}_{number}"


def _check_operations(model: Any, file: str, *, known_to_onnx: bool) -> None:
    """Every operation is known: to ONNX at all, or (after folding) to tinytrain."""
    import onnx

    for node in model.graph.node:
        custom = node.domain not in ("", "ai.onnx")
        if known_to_onnx:
            wrong = custom or not onnx.defs.has(node.op_type)
        else:
            wrong = node.op_type not in SUPPORTED
        if wrong:
            operation = f"{node.domain}.{node.op_type}" if custom else node.op_type
            raise ModelError(
                f"operation '{operation}' is not supported",
                where=Where(file, node.name),
                help="build the model from what is supported: " + ", ".join(sorted(SUPPORTED)),
            )


def _check_valid(model: Any, file: str) -> None:
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


_TYPES = frozenset({1, 2, 3, 6, 7, 9})
"""FLOAT, UINT8, INT8, INT32, INT64 and BOOL of `onnx.TensorProto.DataType`."""
_OTHER_TYPE = (
    "export the model in float32, or quantized to int8 or uint8 with QuantizeLinear and "
    "DequantizeLinear"
)


def _type_name(kind: int) -> str:
    import onnx

    names = {number: name for name, number in onnx.TensorProto.DataType.items()}
    return f"{names.get(kind, kind)}, which cannot be read".lower()


def _check_weights(model: Any, file: str) -> None:
    import onnx

    readers = {name: node.name for node in model.graph.node for name in node.input}
    for tensor in _tensors(model):
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
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ModelError(
                f"the weights '{tensor.name}' hold NaN or infinity",
                where=Where(file, readers.get(tensor.name)),
                help="train or export the model again; a model with such weights cannot run",
            )


def _fix_shapes(model: Any, file: str) -> None:
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


def _layer_names(model: Any) -> LayerNames:
    nodes = model.graph.node
    names = {
        relax: [node.name for node in nodes if node.op_type in kinds]
        for relax, kinds in _NAMED.items()
    }
    for place, relax in ((1, "maximum"), (2, "minimum")):
        clips = [node for node in nodes if node.op_type == "Clip" and len(node.input) > place]
        names[relax,] = [node.name for node in clips if node.input[place]]
    return names
