"""An ONNX file becomes a model whose names are text and whose data are all at hand."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tinytrain.errors import ModelError, Where

_MAX_EXTERNAL = 2**30


def parse(data: bytes, path: Path) -> Any:
    """The model of a file's bytes.

    Raises:
        ModelError: it is none, or damaged.
    """
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


def all_tensors(model: Any) -> list[Any]:
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


def load_external_data(model: Any, path: Path) -> None:
    """Reads tensors that lie in files beside the model, and in no other place."""
    import onnx

    folder, room = path.resolve().parent, _MAX_EXTERNAL
    for tensor in all_tensors(model):
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


def external_files(path: Path) -> dict[str, Path]:
    """The files beside a model that hold data of it, by their names from its folder.

    Nothing for what cannot be read: whoever reads the model says what is wrong with it.
    """
    import onnx

    folder = path.resolve().parent
    try:
        tensors = all_tensors(parse(path.read_bytes(), path))
    except (OSError, ModelError):
        return {}
    found = {}
    for tensor in tensors:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            entries = {entry.key: entry.value for entry in tensor.external_data}
            held = _inside(folder, entries.get("location", ""))
            if held is not None and held.is_file():
                found[posixpath.normpath(entries["location"])] = held
    return found


def name_nodes(model: Any) -> None:
    """Gives nodes without a name the name of their first output."""
    for number, node in enumerate(model.graph.node):
        if not node.name:
            outputs = [output for output in node.output if output]
            node.name = outputs[0] if outputs else f"{node.op_type}_{number}"
