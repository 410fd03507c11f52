"""Reads models: ONNX, TFLite, PyTorch. Each becomes a graph with f32 values and quantize nodes.

Importing PyTorch takes seconds, so nothing heavy is imported before a model is read.
"""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from typing import Any

from tinytrain.errors import InternalError, ModelError, UsageError, Where
from tinytrain.frontend.imported import Imported
from tinytrain.frontend.keras import exported, is_keras
from tinytrain.ir.graph import Graph
from tinytrain.tools import how_to_get

_PICKLES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".joblib"})
_MAX_BYTES = 2**30
_READABLE = "ONNX (.onnx), TFLite (.tflite) and exported PyTorch programs (.pt2) can be read"


def load_model(
    source: Any,
    *,
    example: Any = None,
    name: str | None = None,
    model_output: str | None = None,
) -> Graph:
    """The graph of `import_model`, for who needs no proof of it."""
    return import_model(source, example=example, name=name, model_output=model_output).graph


def import_model(
    source: Any,
    *,
    example: Any = None,
    name: str | None = None,
    model_output: str | None = None,
) -> Imported:
    """Reads a model.

    Args:
        source: path of an .onnx, .tflite or .pt2 file, a `torch.nn.Module`, or a Keras model, which
            Keras exports.
        example: for a module, a float tensor or array of the shape it takes, batch first; or a
            tuple of one for each input.
        name: name of the graph; by default from the file or the class. Made a C identifier.
        model_output: of a model with several outputs, the one that is compiled; by default the one
            of a classifier.

    Returns:
        a graph, and what it can be compared with (`proof.prove`). The graph has f32 inputs and
        one f32 output, its nodes are forward operations, with `quantize` and `dequantize` exactly
        where the model has them. Maps are NHWC, a 1-D signal is a map of height 1. `source` says
        which file it was, what shape and layout its input has there, and what had to change.

    Raises:
        ModelError: the file cannot be read, or holds what tinytrain does not support.
        UsageError: a module without an example input, or a .pt2 file without PyTorch.
    """
    if isinstance(source, str | Path):
        return _load_file(Path(source), name, model_output)
    if is_keras(source):
        with exported(source, example) as path:
            return _load_file(path, name, model_output)
    from tinytrain.frontend.pytorch import load_module

    if example is None:
        raise UsageError(
            "a PyTorch module needs an example input to be traced",
            help="pass example, for instance torch.zeros(1, 3, 32, 32)",
        )
    identifier = c_identifier(name or type(source).__name__)
    examples = example if isinstance(example, tuple) else (example,)
    return load_module(source, examples, identifier, model_output)


def _load_file(path: Path, name: str | None, output: str | None) -> Imported:
    where = Where(path.name)
    if not os.path.isfile(path):
        what = "there is no such model file"
        if os.path.exists(path):
            what = f"the model is {'a folder, not a' if os.path.isdir(path) else 'no regular'} file"
        raise ModelError(what, where=where, help="check the path")
    suffix = path.suffix.lower()
    if suffix in _PICKLES:
        raise ModelError(
            f"'{suffix}' files are pickles, which can run any code when they are loaded; tinytrain "
            "never loads one",
            where=where,
            help="save the model with torch.export.save(torch.export.export(model.eval(), "
            "(example,)), 'model.pt2'), or export it to ONNX",
        )
    identifier = c_identifier(name or path.stem)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelError(
                f"the file has {path.stat().st_size} bytes, more than any microcontroller holds",
                where=where,
                help="give a smaller model",
            )
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"the file cannot be read: {error.strerror}", where=where) from error
    if suffix == ".onnx":
        from tinytrain.frontend.onnx import load_onnx

        return _sound(load_onnx(data, path, identifier, output), where)
    if suffix == ".tflite":
        from tinytrain.frontend.tflite import load_tflite

        return _sound(load_tflite(data, path, identifier, output), where)
    if suffix == ".pt2":
        if importlib.util.find_spec("torch") is None:
            raise UsageError(
                "a .pt2 file needs PyTorch, which is not installed",
                where=where,
                help=f"{how_to_get('torch')}, or export the model to ONNX",
            )
        from tinytrain.frontend.pytorch import load_pt2

        return _sound(load_pt2(data, path, identifier, output), where)
    raise ModelError(
        f"a file that ends in '{suffix or path.name}' is of no known kind",
        where=where,
        help=_READABLE,
    )


def _sound(imported: Imported, where: Where) -> Imported:
    """The import, if every node keeps its rule: a damaged file may hold any geometry."""
    from tinytrain.ir.verify import verify

    try:
        verify(imported.graph, "import")
    except InternalError as error:
        raise ModelError(
            "the file holds a layer whose shapes or attributes contradict each other",
            where=where,
            detail=str(error.__cause__ or error),
            help="export the model again; if it runs elsewhere, please report it",
        ) from error
    return imported


def c_identifier(name: str) -> str:
    """The name with everything but letters, digits and underscores replaced, in lower case."""
    cleaned = re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_") or "model"
    return cleaned if cleaned[0].isalpha() else f"m_{cleaned}"


__all__ = ["c_identifier", "import_model", "load_model"]
