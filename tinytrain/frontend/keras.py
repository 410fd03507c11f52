"""Keras models in memory: written to a temporary file by Keras' own export, and read from there.

Nothing of Keras or TensorFlow is imported before a model of theirs is given.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tinytrain.errors import ModelError, Where
from tinytrain.frontend.importing import quiet

_PACKAGES = frozenset({"keras", "tf_keras", "tensorflow"})
_INSTALL = "pip install tf2onnx"


def is_keras(model: Any) -> bool:
    """Whether a model is one of Keras', told by where its classes come from."""
    return any(
        kind.__name__ == "Model" and kind.__module__.split(".")[0] in _PACKAGES
        for kind in type(model).__mro__
    )


@contextmanager
def exported(model: Any, example: Any = None) -> Iterator[Path]:
    """A temporary file of the model: ONNX, or TFLite where Keras cannot write that.

    ONNX comes first: what was learned can go back there.

    Args:
        example: an input, batch first, of a model that does not know its input's shape.

    Raises:
        ModelError: Keras writes neither.
    """
    name = re.sub(r"[^0-9A-Za-z_-]+", "_", str(getattr(model, "name", ""))) or "model"
    with tempfile.TemporaryDirectory(prefix="tinytrain-") as folder:
        yield _written(model, example, Path(folder, name))


def _written(model: Any, example: Any, stem: Path) -> Path:
    where = Where(f"Keras model '{stem.name}'")
    reasons = []
    for suffix, write in ((".onnx", _write_onnx), (".tflite", _write_tflite)):
        path = stem.with_suffix(suffix)
        try:
            with quiet():
                _call_once(model, example)
                write(model, path)
            return path
        # Keras and its exporters raise whatever they stumble over.
        except Exception as error:
            text = " ".join(str(error).split())
            reasons.append(f"{suffix}: {type(error).__name__}: {text[:200]}")
    raise ModelError(
        "Keras cannot export the model",
        where=where,
        detail="\n".join(reasons),
        help=f"{_INSTALL}; give the model a fixed input shape, or example; or give a .tflite file",
    )


def _call_once(model: Any, example: Any) -> None:
    """Keras exports to ONNX only what was called before."""
    if example is not None:
        model(np.asarray(example, np.float32)[:1])
    elif isinstance(shape := getattr(model, "input_shape", None), tuple):
        model(np.zeros((1, *shape[1:]), np.float32))
    elif isinstance(shape, list):
        model([np.zeros((1, *one[1:]), np.float32) for one in shape])


def _write_onnx(model: Any, path: Path) -> None:
    model.export(str(path), format="onnx", verbose=False)


def _write_tflite(model: Any, path: Path) -> None:
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None:
        raise ModuleNotFoundError("TensorFlow, which converts to TFLite, is not loaded")
    path.write_bytes(tensorflow.lite.TFLiteConverter.from_keras_model(model).convert())
