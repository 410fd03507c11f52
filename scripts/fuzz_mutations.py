"""Ways to damage a model file, each driven by a random generator alone."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import helper

Random = np.random.Generator

_SIZES = (
    0,
    1,
    -1,
    2,
    3,
    4,
    7,
    127,
    255,
    256,
    65_536,
    2**24,
    2**31 - 1,
    2**31,
    2**40,
    2**62,
    -(2**63),
)
_REALS = (0.0, -1.0, 1e-45, 1e-30, 1e30, 3.4e38, float("inf"), float("-inf"), float("nan"))
_OPERATIONS = (
    "Abs", "Add", "ArgMax", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat",
    "Constant", "ConstantOfShape", "Conv", "ConvTranspose", "CumSum", "DequantizeLinear", "Div",
    "Dropout", "Einsum", "Erf", "Exp", "Expand", "Flatten", "GRU", "Gather", "Gemm",
    "GlobalAveragePool", "HardSigmoid", "HardSwish", "Identity", "If", "LSTM", "LeakyRelu",
    "Loop", "MatMul", "Max", "MaxPool", "Min", "Mul", "NonMaxSuppression", "NonZero", "Pad", "Pow",
    "QuantizeLinear", "Range", "ReduceMean", "Relu", "Reshape", "Resize", "Scan", "Shape",
    "Sigmoid", "Slice", "Softmax", "Split", "Squeeze", "Sub", "Tanh", "Tile", "TopK", "Transpose",
    "Unsqueeze", "Where",
)  # fmt: skip
_WORDS = ("", "x", "/", "..", "a" * 5000, "ä☃", "\x00", "%s%n", "'\"", "[bold]", "int")


def damage(data: bytes, suffix: str, other: bytes, random: Random) -> bytes:
    """A damaged copy of a file.

    Args:
        data: the sound file.
        suffix: its kind.
        other: another sound file, for splices.
        random: decides everything.
    """
    if suffix == ".onnx" and random.random() < 0.7:
        return _damage_fields(data, random)
    if suffix in (".npz", ".pt2") and random.random() < 0.8:
        return _damage_members(data, other, random)
    return _damage_bytes(data, suffix, other, random)


# --- bytes ----------------------------------------------------------------------------------------


def _damage_bytes(data: bytes, suffix: str, other: bytes, random: Random) -> bytes:
    ways: list[Callable[[bytearray], bytes]] = [
        lambda held: _flip(held, random),
        lambda held: bytes(held[: random.integers(len(held))]),
        lambda held: _remove(held, random),
        lambda held: _repeat(held, random),
        lambda held: _splice(held, other, random),
        lambda held: _overwrite_words(held, random),
    ]
    # A FlatBuffer is offsets and counts of 32 bits: those are what is worth hitting.
    weights = np.array([2, 1, 1, 1, 1, 10 if suffix == ".tflite" else 2], float)
    return ways[random.choice(len(ways), p=weights / weights.sum())](bytearray(data))


def _damage_members(data: bytes, other: bytes, random: Random) -> bytes:
    """An archive whose own checksums are right, with one member damaged, left out or called
    otherwise."""
    held = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(held, "w") as made:
        names = source.namelist()
        chosen, which = names[random.integers(len(names))], random.integers(10)
        for name in names:
            content = source.read(name)
            if name == chosen and which == 0:
                continue
            if name == chosen and which == 1:
                name = _pick((*_WORDS[1:], "y.npy", "x", f"../{name}", name.upper()), random)
            elif name == chosen and content:
                content = _damage_text(content, other, random)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a name may come twice
                made.writestr(name.replace("\x00", "0"), content)
    return held.getvalue()


def _damage_text(content: bytes, other: bytes, random: Random) -> bytes:
    """Headers of arrays and JSON are text: a number or a word in them is worth hitting."""
    words = list(
        re.finditer(rb"-?\d+|'[^']*'|\"[^\"]*\"|True|False|true|false|null", content[:4000])
    )
    if not words or random.random() < 0.3:
        return _damage_bytes(content, ".npz", other, random)
    word = words[random.integers(len(words))]
    instead: tuple[bytes, ...] = tuple(str(size).encode() for size in _SIZES)
    instead += (b"'|O8'", b"'<f2'", b"'<c8'", b"'>i4'", b"'<U9'", b"'|b1'", b"None", b"null", b"[]")
    instead += (b"{}", b"True", b"1e999", b"NaN", b'"x"', b"", words[0][0])
    return content[: word.start()] + _pick(instead, random) + content[word.end() :]


def _place(size: int, random: Random) -> int:
    """A place in a file; structure stands at its ends, weights in between take any value."""
    near = min(size, 3000)
    which = random.integers(3)
    if which == 0:
        return int(random.integers(near))
    return int(size - 1 - random.integers(near)) if which == 1 else int(random.integers(size))


def _flip(held: bytearray, random: Random) -> bytes:
    for _ in range(random.integers(1, 9)):
        held[_place(len(held), random)] ^= 1 << int(random.integers(8))
    return bytes(held)


def _remove(held: bytearray, random: Random) -> bytes:
    start = _place(len(held), random)
    del held[start : start + int(random.integers(1, 200))]
    return bytes(held)


def _repeat(held: bytearray, random: Random) -> bytes:
    start, to = _place(len(held), random), _place(len(held), random)
    held[to:to] = held[start : start + int(random.integers(1, 400))]
    return bytes(held)


def _splice(held: bytearray, other: bytes, random: Random) -> bytes:
    cut = _place(len(held), random)
    return bytes(held[:cut]) + other[int(random.integers(len(other))) :]


def _overwrite_words(held: bytearray, random: Random) -> bytes:
    for _ in range(random.integers(1, 5)):
        start = _place(len(held), random) & ~3
        value = int(random.choice(np.array(_SIZES))) if random.random() < 0.5 else None
        if value is None:
            value = int(random.integers(0, 2 * min(len(held), 4096)))
        held[start : start + 4] = (value & 0xFFFFFFFF).to_bytes(4, "little")
    return bytes(held)


# --- fields of an ONNX model ----------------------------------------------------------------------


def _damage_fields(data: bytes, random: Random) -> bytes:
    model = onnx.load_model_from_string(data)
    for _ in range(random.integers(1, 4)):
        way = _FIELDS[random.integers(len(_FIELDS))]
        try:
            way(model, random)
        # The field does not take such a value, or there is none left to change: not damaged then.
        except (ValueError, TypeError, IndexError, OverflowError, DecodeError):
            continue
    return model.SerializeToString()


def _pick(items: Any, random: Random) -> Any:
    return items[int(random.integers(len(items)))]


def _size(random: Random) -> int:
    return int(_SIZES[random.integers(len(_SIZES))])


def _real(random: Random) -> float:
    return float(_REALS[random.integers(len(_REALS))])


def _operation(model: Any, random: Random) -> None:
    _pick(model.graph.node, random).op_type = _pick(_OPERATIONS, random)


def _attribute(model: Any, random: Random) -> None:
    node = _pick(model.graph.node, random)
    attribute = _pick(node.attribute, random)
    if attribute.ints:
        attribute.ints[int(random.integers(len(attribute.ints)))] = _size(random)
        if random.random() < 0.3:
            attribute.ints.append(_size(random))
        elif random.random() < 0.3:
            del attribute.ints[-1]
    elif attribute.HasField("i"):
        attribute.i = _size(random)
    elif attribute.HasField("f"):
        attribute.f = _real(random)
    elif attribute.HasField("s"):
        attribute.s = _pick(_WORDS, random).encode()


def _attribute_removed(model: Any, random: Random) -> None:
    node = _pick(model.graph.node, random)
    node.attribute.remove(_pick(node.attribute, random))


def _attribute_added(model: Any, random: Random) -> None:
    name = _pick(
        ("axis", "group", "pads", "strides", "dilations", "kernel_shape", "auto_pad", "ceil_mode",
         "count_include_pad", "keepdims", "axes", "alpha", "beta", "transA", "transB", "to",
         "training_mode", "allowzero", "block_size", "epsilon", "storage_order", "perm"), random
    )  # fmt: skip
    values: tuple[Any, ...] = (
        _size(random),
        _real(random),
        [_size(random) for _ in range(int(random.integers(1, 6)))],
        _pick(("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET", *_WORDS), random),
    )
    node = _pick(model.graph.node, random)
    for held in [attribute for attribute in node.attribute if attribute.name == name]:
        node.attribute.remove(held)
    node.attribute.append(helper.make_attribute(name, values[int(random.integers(4))]))


def _wiring(model: Any, random: Random) -> None:
    nodes = model.graph.node
    node, source = _pick(nodes, random), _pick(nodes, random)
    which = random.integers(6)
    if which == 0:
        node.input[int(random.integers(len(node.input)))] = _pick(source.output, random)
    elif which == 1:
        node.input[int(random.integers(len(node.input)))] = _pick(
            [tensor.name for tensor in model.graph.initializer], random
        )
    elif which == 2:
        node.input[int(random.integers(len(node.input)))] = _pick(_WORDS, random)
    elif which == 3:
        del node.input[-1]
    elif which == 4:
        node.input.append(_pick(source.output, random))
    else:
        node.output[0] = _pick(source.output, random)


def _nodes(model: Any, random: Random) -> None:
    nodes = model.graph.node
    node = _pick(nodes, random)
    which = random.integers(4)
    if which == 0:
        nodes.remove(node)
    elif which == 1:
        nodes.append(node)
    elif which == 2:
        held = [nodes[k] for k in random.permutation(len(nodes))]
        copies = [onnx.NodeProto.FromString(entry.SerializeToString()) for entry in held]
        del nodes[:]
        nodes.extend(copies)
    else:
        node.name, node.domain = _pick(_WORDS, random), _pick(("", "me", "ai.onnx.ml"), random)


def _tensor(model: Any, random: Random) -> None:
    tensor = _pick(model.graph.initializer, random)
    which = random.integers(6)
    if which == 0:
        tensor.dims[int(random.integers(len(tensor.dims)))] = _size(random)
    elif which == 1:
        tensor.dims.append(_size(random))
    elif which == 2:
        tensor.data_type = int(random.integers(0, 26))
    elif which == 3:
        tensor.raw_data = tensor.raw_data[: int(random.integers(len(tensor.raw_data) + 1))]
    elif which == 4:
        tensor.name = _pick(_WORDS, random)
    else:
        values = onnx.numpy_helper.to_array(tensor).copy()
        place = np.unravel_index(int(random.integers(values.size)), values.shape)
        values[place] = _real(random) if values.dtype.kind == "f" else random.integers(-128, 128)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def _all_values(model: Any, random: Random) -> None:
    tensor = _pick(model.graph.initializer, random)
    values = onnx.numpy_helper.to_array(tensor).copy()
    factor = _real(random) if values.dtype.kind == "f" else int(random.integers(-3, 4))
    with np.errstate(all="ignore"):
        values = (values * factor).astype(values.dtype)
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def _shape_of_constant(model: Any, random: Random) -> None:
    """A shape that asks for more than there is: the classical bomb of few bytes."""
    graph = model.graph
    shape = np.array([_size(random) for _ in range(int(random.integers(1, 5)))], np.int64)
    graph.initializer.append(onnx.numpy_helper.from_array(shape, "bomb_shape"))
    op = _pick(("ConstantOfShape", "Expand", "Tile", "Reshape", "Range"), random)
    target = _pick(graph.node, random)
    inputs = {
        "ConstantOfShape": ["bomb_shape"],
        "Range": ["bomb_shape", "bomb_shape", "bomb_shape"],
    }.get(op, [target.input[0], "bomb_shape"])
    graph.node.insert(0, helper.make_node(op, inputs, ["bomb"], name="bomb"))
    target.input[int(random.integers(len(target.input)))] = "bomb"


def _interface(model: Any, random: Random) -> None:
    graph = model.graph
    given = _pick(graph.input, random)
    dims = given.type.tensor_type.shape.dim
    which = random.integers(8)
    if which == 0:
        _pick(dims, random).dim_value = _size(random)
    elif which == 1:
        _pick(dims, random).dim_param = _pick(_WORDS, random)
    elif which == 2:
        dims.add().dim_value = _size(random)
    elif which == 3:
        del dims[-1]
    elif which == 4:
        given.type.tensor_type.elem_type = int(random.integers(0, 26))
    elif which == 5:
        graph.output[0].name = _pick(_pick(graph.node, random).output, random)
    elif which == 6:
        graph.input.add().CopyFrom(given)
    else:
        graph.output.add().name = _pick(_pick(graph.node, random).output, random)


def _header(model: Any, random: Random) -> None:
    which = random.integers(4)
    if which == 0:
        model.opset_import[0].version = int(random.integers(0, 40))
    elif which == 1:
        model.ir_version = int(random.integers(0, 20))
    elif which == 2:
        model.opset_import.add().domain = _pick(("", "me", "com.microsoft"), random)
    else:
        tensor = _pick(model.graph.initializer, random)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key = "location"
        entry.value = _pick(("/etc/passwd", "../model.onnx", "model.onnx", *_WORDS), random)


_FIELDS = (
    _operation, _attribute, _attribute, _attribute_removed, _attribute_added, _attribute_added,
    _wiring, _wiring, _nodes, _tensor, _tensor, _all_values, _shape_of_constant, _interface,
    _header,
)  # fmt: skip
