"""PyTorch: modules with an example input, and exported programs (.pt2), nothing unpickled."""

from __future__ import annotations

import hashlib
import importlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tinytrain.errors import UsageError
from tinytrain.frontend.imported import Imported, ModelTensors
from tinytrain.frontend.importing import call_importer
from tinytrain.frontend.lower.lower import lower
from tinytrain.frontend.pytorch.archive import check_archive
from tinytrain.frontend.pytorch.constants import held_by
from tinytrain.frontend.pytorch.read import read
from tinytrain.frontend.pytorch.reference import reference
from tinytrain.ir.source import ModelSource


def load_module(
    module: Any, examples: Sequence[Any], name: str, output: str | None = None
) -> Imported:
    """Traces a `torch.nn.Module` in evaluation mode with `torch.export`.

    Args:
        module: left in the mode (training or evaluation) that it had.
        examples: tensor or array of each input, batch first; only its shape matters, and of a
            larger batch the first sample.

    Raises:
        UsageError: `module` is no module, or the example is no tensor with a batch.
        ModelError: it cannot be traced or imported.
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise UsageError(
            f"a {type(module).__name__} is no model",
            help="pass the path of a model file, or a torch.nn.Module with example",
        )
    given = tuple(torch.as_tensor(example, dtype=torch.float32) for example in examples)
    for example in given:
        if example.ndim < 2:
            raise _without_batch(example)
    modes = [(part, part.training) for part in module.modules()]
    file = type(module).__name__

    def export() -> Any:
        module.eval()
        try:
            with torch.no_grad():
                if not _has_batch(module, given):
                    raise _without_batch(given[0])
                first = tuple(example[:1].clone() for example in given)
                return torch.export.export(module, first, strict=False)
        finally:
            for part, training in modes:
                part.training = training

    program = call_importer(
        export, file, "make the forward pass free of data-dependent control flow"
    )
    digest = hashlib.sha256()
    for key, tensor in sorted(module.state_dict().items()):
        digest.update(key.encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return _lowered(program, ModelSource(file, digest.hexdigest()), name, output)


def _without_batch(example: Any) -> UsageError:
    return UsageError(
        f"the example input has shape {tuple(example.shape)}, without a batch",
        help="add a batch of 1 in front: example[None]",
    )


def _has_batch(module: Any, examples: Sequence[Any]) -> bool:
    """Whether the module takes the first of several samples as it takes all of them."""
    if all(example.shape[0] == 1 for example in examples):
        return True
    try:
        whole = module(*examples)
    except RuntimeError:
        return True  # what is wrong with it, the export says
    try:
        module(*(example[:1] for example in examples))
    except RuntimeError:
        return False
    return all(one.shape[:1] == examples[0].shape[:1] for one in _tensors(whole))


def _tensors(result: Any) -> list[Any]:
    """A result, or the tensors in it."""
    held = result.values() if isinstance(result, dict) else result
    held = held if isinstance(held, tuple | list) or isinstance(result, dict) else [result]
    return [one for one in held if hasattr(one, "ndim")]


def load_pt2(data: bytes, path: Path, name: str, output: str | None = None) -> Imported:
    """Reads a program saved by `torch.export.save`; see `tinytrain.frontend.load_model`."""
    file = path.name
    check_archive(data, file)
    import torch

    # PyTorch knows the operations of a PT2E quantized program only once this is imported.
    importlib.import_module("torch.ao.quantization.fx._decomposed")
    program = call_importer(
        lambda: torch.export.load(io.BytesIO(data)),
        file,
        "save the program again with torch.export.save of the installed PyTorch",
    )
    return _lowered(program, ModelSource(file, hashlib.sha256(data).hexdigest()), name, output)


def _lowered(program: Any, source: ModelSource, name: str, output: str | None) -> Imported:
    file = str(source.file)

    def read_with(replaced: Mapping[str, np.ndarray]) -> Imported:
        return lower(
            read(program, file, output, replaced),
            name=name,
            source=source,
            reference=reference(program),
        )

    held = held_by(program, file)
    return replace(read_with({}), file=ModelTensors(held, read_with, output=output))
