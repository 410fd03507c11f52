"""ONNX files: checked by `onnx` itself, then read node by node."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from onnx.numpy_helper import to_array

from tinytrain.errors import ModelError
from tinytrain.frontend.imported import Imported, ModelTensors
from tinytrain.frontend.lower.lower import lower
from tinytrain.frontend.onnx.check import (
    check_valid,
    check_weights,
    fix_shapes,
    unknown_operations,
    upgrade,
)
from tinytrain.frontend.onnx.parse import load_external_data, name_nodes, parse
from tinytrain.frontend.onnx.read import read, unread_operations
from tinytrain.frontend.onnx.reference import reference
from tinytrain.frontend.onnx.write import with_numbers
from tinytrain.frontend.reader import guarded
from tinytrain.frontend.refusals import of_error, refusal
from tinytrain.ir.source import ModelSource


def load_onnx(data: bytes, path: Path, name: str, output: str | None = None) -> Imported:
    """Reads an ONNX model; see `tinytrain.frontend.load_model`."""
    file = path.name
    notes: list[str] = []
    model = parse(data, path)
    load_external_data(model, path)
    name_nodes(model)
    original = model.SerializeToString()
    model = upgrade(model, file, notes)
    name_nodes(model)
    if not unknown_operations(model):
        check_valid(model, file)
    check_weights(model, file)
    try:
        fix_shapes(model, file)
    except ModelError as error:
        raise refusal(file, [of_error(error), *unread_operations(model)]) from error
    source = ModelSource(file, hashlib.sha256(data).hexdigest())

    def read_with(replaced: Mapping[str, np.ndarray]) -> Imported:
        changed = with_numbers(model, replaced)
        program = guarded(
            file,
            lambda: read(changed, file, output, notes),
            "export or copy the file again; onnx.checker.check_model tells more",
        )
        return lower(program, name=name, source=source, reference=reference(original))

    imported = read_with({})
    held = {tensor.name: to_array(tensor) for tensor in model.graph.initializer}
    return replace(imported, file=ModelTensors(held, read_with, original, output))
