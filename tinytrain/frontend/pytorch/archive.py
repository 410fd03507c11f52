"""Looks through a .pt2 archive before PyTorch loads it, and refuses what would run code.

`torch.export.load` unpickles whatever an archive declares to be a pickle, and falls back to full
unpickling where its safe loader fails; it also evaluates symbolic expressions and looks operations
up by name. An archive that `torch.export.save` wrote for a plain network needs none of that: its
weights are raw bytes, its graph is JSON over ATen operations.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from typing import Any

from tinytrain.errors import ModelError, TinytrainError, Where

_MAX_BYTES = 2**30
_MAX_TEXT = 2**25
"""Of one description: parsed, it takes many times its size. Graphs of real models need 1 MB."""
_OPERATION = re.compile(
    r"torch\.ops\.(aten|quantized_decomposed|higher_order)\.\w+(\.\w+)?|_operator\.\w+"
)
_SYMBOL = re.compile(r"[su]\d+|-?\d+")
_AGAIN = "save the program with torch.export.save of PyTorch 2.9 or newer, for a fixed input shape"


def check_archive(data: bytes, file: str) -> None:
    """Raises ModelError unless the archive loads without unpickling or evaluating anything."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_entries(archive, file)
    except TinytrainError:
        raise
    # A damaged archive fails in zlib, JSON, a missing key or an attribute of the wrong type.
    except Exception as error:
        raise ModelError(
            "the file is no exported program, or only the beginning of one",
            where=Where(file),
            help=_AGAIN,
        ) from error


def _refuse(file: str, what: str) -> ModelError:
    return ModelError(
        f"the archive {what}; tinytrain loads nothing that could run code",
        where=Where(file),
        help=_AGAIN,
    )


def _check_entries(archive: zipfile.ZipFile, file: str) -> None:
    entries = archive.infolist()
    if sum(entry.file_size for entry in entries) > _MAX_BYTES:
        raise _refuse(file, f"unpacks to more than {_MAX_BYTES} bytes")
    names = [entry.filename for entry in entries]
    if len(set(names)) != len(names):
        raise _refuse(file, "holds two entries of one name")
    described = (".json", "sample_inputs")
    for entry in entries:
        if any(part in entry.filename for part in described) and entry.file_size > _MAX_TEXT:
            raise _refuse(
                file, f"has a description ('{entry.filename[:80]}') of {entry.file_size} bytes"
            )
    models = [name for name in names if re.search(r"(^|/)models/[^/]+\.json$", name)]
    if len(models) != 1:
        raise _refuse(file, f"holds {len(models)} programs of torch.export.save, not one")
    for name in names:
        folder = re.search(r"(^|/)data/(weights|constants)/[^/]+$", name)
        if folder and name.endswith((".pt", ".pkl")):
            raise _refuse(file, f"holds a pickle ('{name}')")
        if re.search(r"(^|/)data/aotinductor/", name):
            raise _refuse(file, "holds compiled code")
        if folder and name.endswith(".json"):
            _check_payload(json.loads(archive.read(name)), file)
        if re.search(r"(^|/)data/sample_inputs/", name):
            _check_sample(archive.read(name), file)
    _check_program(json.loads(archive.read(models[0])), file)


def _check_payload(config: Any, file: str) -> None:
    for label, entry in config["config"].items():
        if entry.get("use_pickle") is not False:
            raise _refuse(file, f"holds '{label}' as a pickle")
        if entry.get("tensor_meta") is None:
            raise _refuse(file, f"holds '{label}', an object that is no tensor")


def _check_sample(raw: bytes, file: str) -> None:
    """Example inputs are a restricted pickle; the safe mode of PyTorch must be able to read it."""
    import torch

    if not raw:
        return
    try:
        torch.load(io.BytesIO(raw), weights_only=True)
    # Whatever the safe loader stumbles over, the unsafe one would run.
    except Exception as error:
        raise _refuse(file, "holds example inputs that only a pickle can read") from error


def _check_program(item: Any, file: str) -> None:
    """Walks the JSON: operations are ATen's, symbolic expressions are plain symbols or numbers."""
    if isinstance(item, list):
        for part in item:
            _check_program(part, file)
    elif isinstance(item, dict):
        for key, part in item.items():
            called = key == "target" and isinstance(part, str) and "inputs" in item
            if called and not _OPERATION.fullmatch(part):
                raise _refuse(file, f"calls '{part[:80]}', which is no operation of ATen")
            if key == "expr_str" and not (isinstance(part, str) and _SYMBOL.fullmatch(part)):
                raise _refuse(file, f"computes a shape, '{str(part)[:80]}'")
            _check_program(part, file)
