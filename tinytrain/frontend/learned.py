"""What of a model's file is trained, kept in the folder: the way back from a device to the file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

TENSORS = "origin/tensors.npz"
"""What `pack` writes, in the folder."""

MODEL = "origin/model.onnx"
"""The model itself where it is ONNX."""


@dataclass(frozen=True, eq=False)
class LearnedTensor:
    """A trained parameter, and where its numbers go.

    A real of the parameter is `scale` times its integer, and factor * held + offset of the element
    `index` of the file's tensor.

    Attributes:
        parameter: its name in the manifest.
        source: the file's tensor; "" for a bias that the file does not have.
        beside: the file's weights of the same layer, "" if none; says where a new bias goes.
        layer: number of the layer among those with weights.
        is_bias: whether it is the bias of its layer.
        axis, channels: of weights that train in part, along which axis and which; -1 and none for
            all.
        is_integer: whether the file holds integers.
        is_fresh: whether it took the place of the file's head, with another number of classes.
        real: the whole tensor of the file as reals, float32, of the file's shape; of a fresh head
            zeros of the new shape.
        index: int64 of the parameter's shape.
        factor, offset, scale: float64 of that shape.
    """

    parameter: str
    source: str
    beside: str
    layer: int
    is_bias: bool
    axis: int
    channels: np.ndarray
    is_integer: bool
    is_fresh: bool
    real: np.ndarray
    index: np.ndarray
    factor: np.ndarray
    offset: np.ndarray
    scale: np.ndarray


@dataclass(frozen=True)
class LearnedTensors:
    """All of a model's.

    Attributes:
        tensors: those that can go back.
        lost: for each of the others a sentence.
        output: the output that was chosen of several; None for the usual one.
    """

    tensors: tuple[LearnedTensor, ...]
    lost: tuple[str, ...]
    output: str | None = None


def pack(trained: LearnedTensors) -> bytes:
    """The bytes of a file that `unpack` reads; the same for the same tensors."""
    arrays = {"lost": np.array(trained.lost, dtype=str), "output": np.array(trained.output or "")}
    for number, tensor in enumerate(trained.tensors):
        for field in fields(LearnedTensor):
            arrays[f"{number}.{field.name}"] = np.asarray(getattr(tensor, field.name))
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def unpack(data: bytes) -> LearnedTensors:
    """What `pack` wrote."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        count = len({name.split(".")[0] for name in arrays.files} - {"lost", "output"})
        tensors = []
        for number in range(count):
            held: dict[str, Any] = {}
            for field in fields(LearnedTensor):
                array = arrays[f"{number}.{field.name}"]
                held[field.name] = array.item() if array.ndim == 0 else array
            tensors.append(LearnedTensor(**held))
        lost = tuple(str(text) for text in arrays["lost"])
        return LearnedTensors(tuple(tensors), lost, str(arrays["output"]) or None)


def learned_real(tensor: LearnedTensor, integers: np.ndarray) -> np.ndarray:
    """The file's tensor as reals, float32 of the file's shape, with what was learned in it.

    Args:
        integers: of the parameter, of its shape.
    """
    real = tensor.real.astype(np.float64)
    learned = integers * tensor.scale
    is_real = tensor.is_integer and not tensor.is_fresh
    held = learned if is_real else (learned - tensor.offset) / tensor.factor
    real.reshape(-1)[tensor.index] = held
    return real.astype(np.float32)


def learned_integers(tensor: LearnedTensor, integers: np.ndarray, held: np.ndarray) -> np.ndarray:
    """The same as the integers of a file that has integers.

    Args:
        held: the file's tensor.
    """
    q = np.rint((integers * tensor.scale - tensor.offset) / tensor.factor)
    limits = np.iinfo(held.dtype)
    whole = held.copy()
    whole.reshape(-1)[tensor.index] = np.clip(q, limits.min, limits.max).astype(held.dtype)
    return whole


def part(tensor: LearnedTensor, whole: np.ndarray) -> np.ndarray:
    """What trains of a layer's whole tensor, of the parameter's shape."""
    shape = tensor.index.shape
    if tensor.axis < 0:
        return whole.reshape(shape)
    chosen: Sequence[int] = tensor.channels.tolist()
    # Weights of a dense layer stand as those of a 1x1 convolution.
    whole = whole.reshape(whole.shape[0], *(1,) * (4 - whole.ndim), *whole.shape[1:])
    return np.take(whole, chosen, axis=tensor.axis)
