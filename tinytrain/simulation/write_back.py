"""What a device learned, back where its model came from."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinytrain.errors import ModelError, Where
from tinytrain.frontend.learned import (
    MODEL,
    TENSORS,
    LearnedTensor,
    LearnedTensors,
    learned_integers,
    learned_real,
    part,
    unpack,
)
from tinytrain.frontend.origins import layer_reals
from tinytrain.simulation.folder import GeneratedFolder

_DTYPES: Mapping[str, np.dtype[Any]] = {"s8": np.dtype(np.int8), "s32": np.dtype("<i4")}

ERROR = 2.0**-10
"""Largest difference of the written weights from the device's, as a share of the largest."""


def state_dict(folder: GeneratedFolder, weights: bytes) -> dict[str, np.ndarray]:
    """The trained tensors by their names in the model's file; see `Device.state_dict`.

    Args:
        weights: of a saved file.
    """
    trained = _trained(folder)
    learned = _integers(folder, trained, weights)
    found: dict[str, np.ndarray] = {}
    for tensor in trained.tensors:
        name = tensor.source or _bias_name(tensor)
        real = learned_real(tensor, learned[tensor.parameter])
        if name in found and not np.array_equal(found[name], real):
            raise _apart(folder, name)
        if not tensor.source:
            warnings.warn(
                f"the model has no '{name}': a layer without a bias learned one", stacklevel=3
            )
        found[name] = real
    return found


def onnx_with_learned(folder: GeneratedFolder, weights: bytes) -> bytes:
    """The model's ONNX file with what was learned in it; see `Device.to_onnx`."""
    trained = _trained(folder)
    where = Where(folder.manifest.model.file)
    if MODEL not in folder.manifest.files:
        raise ModelError(
            "the model came from PyTorch, and there is no ONNX file to write it to",
            where=where,
            help="call module.load_state_dict with tensors of device.state_dict() and "
            "strict=False, and export the module",
        )
    from onnx import load_from_string
    from onnx.numpy_helper import to_array

    from tinytrain.frontend.onnx.write import write_onnx

    data = (folder.path / MODEL).read_bytes()
    held = {one.name: one for one in load_from_string(data).graph.initializer}
    learned = _integers(folder, trained, weights)
    tensors: dict[str, np.ndarray] = {}
    biases: dict[str, np.ndarray] = {}
    for tensor in trained.tensors:
        integers = learned[tensor.parameter]
        if not tensor.source:
            biases[tensor.beside] = learned_real(tensor, integers)
            continue
        if tensor.is_integer and not tensor.is_fresh and tensor.source in held:
            new = learned_integers(tensor, integers, to_array(held[tensor.source]))
        else:
            new = learned_real(tensor, integers)
        if not np.array_equal(tensors.setdefault(tensor.source, new), new):
            raise _apart(folder, tensor.source)
    written = write_onnx(data, str(where.file), tensors, biases)
    _prove(folder, written, trained, learned)
    return written


def _trained(folder: GeneratedFolder) -> LearnedTensors:
    where = Where(folder.manifest.model.file)
    if TENSORS not in folder.manifest.files:
        raise ModelError(
            "what was learned goes back to ONNX and PyTorch only",
            where=where,
            help="compile the model from ONNX or PyTorch",
        )
    trained = unpack((folder.path / TENSORS).read_bytes())
    if trained.lost:
        raise ModelError(
            "what was learned cannot all go back",
            where=where,
            detail="\n".join(trained.lost),
            help="leave these layers frozen, or export the model with each normalisation behind "
            "its layer and weights as plain constants",
        )
    return trained


def _apart(folder: GeneratedFolder, name: str) -> ModelError:
    return ModelError(
        f"'{name}' serves several layers, of which each trained a copy of its own",
        where=Where(folder.manifest.model.file),
        help="give each layer weights of its own in the model",
    )


def _integers(
    folder: GeneratedFolder, trained: LearnedTensors, weights: bytes
) -> Mapping[str, np.ndarray]:
    """The trained parameters by name, as integers."""
    found, start = {}, 0
    for record in folder.manifest.parameters:
        held = weights[start : start + record.nbytes]
        if record.dtype in _DTYPES:
            found[record.name] = np.frombuffer(held, _DTYPES[record.dtype])
        start += record.nbytes
    shapes = {tensor.parameter: tensor.index.shape for tensor in trained.tensors}
    return {name: found[name].reshape(shape) for name, shape in shapes.items()}


def _bias_name(tensor: LearnedTensor) -> str:
    """What a bias would be called that the model does not have."""
    stem, dot, last = tensor.beside.rpartition(".")
    return f"{stem}.bias" if dot and last == "weight" else f"{tensor.beside}_bias"


def _prove(
    folder: GeneratedFolder,
    written: bytes,
    trained: LearnedTensors,
    learned: Mapping[str, np.ndarray],
) -> None:
    """Reads the written file as any model: its layers have what the device learned.

    Raises:
        ModelError: they have not.
    """
    from tinytrain.frontend import import_model

    name = Path(folder.manifest.model.file or "model").with_suffix(".onnx").name
    with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
        path = Path(place, name)
        path.write_bytes(written)
        reals = layer_reals(import_model(path, model_output=trained.output).graph)
    for tensor in trained.tensors:
        wanted = learned[tensor.parameter] * tensor.scale
        found = part(tensor, reals[tensor.is_bias][tensor.layer])
        apart = np.abs(found - wanted)
        # Integers of the file may have a scale of their own.
        step = np.abs(tensor.factor) if tensor.is_integer else np.zeros(())
        if np.any(apart > ERROR * np.abs(wanted).max(initial=0.0) + 0.51 * step + 1e-6):
            raise ModelError(
                "the written model would not compute what the device does: "
                f"'{tensor.parameter}' differs by {apart.max():.3g}",
                where=Where(name, tensor.source),
                help="use Device.state_dict(), and please report it with the model",
            )
