"""TFLite files: checked as far as a FlatBuffer can be, then read operator by operator."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tinytrain.errors import ModelError, Where
from tinytrain.frontend.imported import Imported
from tinytrain.frontend.lower.lower import lower
from tinytrain.frontend.reader import guarded
from tinytrain.frontend.tflite.check import checked
from tinytrain.frontend.tflite.model import parse
from tinytrain.frontend.tflite.read import read
from tinytrain.frontend.tflite.reference import reference
from tinytrain.ir.source import ModelSource


def load_tflite(data: bytes, path: Path, name: str, output: str | None = None) -> Imported:
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
    model = checked(data, file)
    program = guarded(
        file,
        lambda: read(parse(model), file, output),
        "convert or copy the file again, and compare its size with the original",
    )
    source = ModelSource(file, hashlib.sha256(data).hexdigest())
    return lower(program, name=name, source=source, reference=reference(data))
