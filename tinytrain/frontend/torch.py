"""PyTorch: modules with an example input, and exported programs (.pt2), nothing unpickled."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

from tinytrain.errors import ModelError, UsageError, Where
from tinytrain.frontend.importing import call_importer, quiet
from tinytrain.frontend.pt2_archive import check_archive
from tinytrain.frontend.relax.importer import LayerNames, import_relax
from tinytrain.ir.graph import Graph
from tinytrain.ir.source import ModelSource

_NAMED: dict[tuple[str, ...], tuple[str, ...]] = {
    ("nn.conv1d", "nn.conv2d", "nn.conv3d"): ("conv1d", "conv2d", "convolution", "conv3d"),
    ("matmul",): ("linear", "addmm", "mm", "matmul"),
    ("nn.max_pool1d", "nn.max_pool2d"): ("max_pool1d", "max_pool2d"),
    ("nn.avg_pool1d", "nn.avg_pool2d"): ("avg_pool1d", "avg_pool2d"),
    ("concat",): ("cat",),
    ("nn.softmax",): ("softmax",),
}


def load_module(module: Any, example: Any, name: str) -> Graph:
    """Traces a `torch.nn.Module` in evaluation mode with `torch.export`.

    Args:
        module: left in the mode (training or evaluation) that it had.
        example: tensor or array, batch first; only its shape matters, and of a larger batch
            the first sample.

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
    example = torch.as_tensor(example, dtype=torch.float32)
    if example.ndim < 2:
        raise UsageError(
            f"the example input has shape {tuple(example.shape)}, without a batch",
            help="add a batch of 1 in front: example[None]",
        )
    modes = [(part, part.training) for part in module.modules()]
    file = type(module).__name__

    def export() -> Any:
        module.eval()
        try:
            with torch.no_grad():
                return torch.export.export(module, (example[:1].clone(),), strict=False)
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
    return _import(program, file, name, digest.hexdigest())


def load_pt2(data: bytes, path: Path, name: str) -> Graph:
    """Reads a program saved by `torch.export.save`; see `tinytrain.frontend.load_model`."""
    file = path.name
    check_archive(data, file)
    import torch

    program = call_importer(
        lambda: torch.export.load(io.BytesIO(data)),
        file,
        "save the program again with torch.export.save of the installed PyTorch",
    )
    return _import(program, file, name, hashlib.sha256(data).hexdigest())


def _import(program: Any, file: str, name: str, sha256: str) -> Graph:
    _check_shapes(program, file)
    _check_weights(program, file)

    def convert() -> Any:
        from tvm.relax.frontend.torch import from_exported_program

        return from_exported_program(
            program, keep_params_as_input=False, unwrap_unit_return_tuple=True
        )

    names = _layer_names(program)
    with quiet():
        module = call_importer(
            convert, file, "build the model from operations of torch.nn that tinytrain lists"
        )
    return import_relax(module, name=name, source=ModelSource(file, sha256), layer_names=names)


def _check_shapes(program: Any, file: str) -> None:
    import torch

    users = set(program.graph_signature.user_inputs)
    for node in program.graph.nodes:
        if node.op != "placeholder" or node.name not in users:
            continue
        value = node.meta.get("val")
        if not isinstance(value, torch.Tensor):
            raise ModelError(f"the input '{node.name}' is no tensor", where=Where(file, node.name))
        for axis, extent in enumerate(value.shape):
            if not isinstance(extent, int):
                raise ModelError(
                    f"dimension {axis} of the input '{node.name}' is dynamic ('{extent}')",
                    where=Where(file, node.name),
                    help="export the program without dynamic_shapes, with a batch of 1",
                )


def _check_weights(program: Any, file: str) -> None:
    import torch

    for key, tensor in program.state_dict.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelError(
                f"the weights '{key}' hold NaN or infinity",
                where=Where(file, key),
                help="train or export the model again; a model with such weights cannot run",
            )


def _layer_names(program: Any) -> LayerNames:
    """Names of the modules that the operations come from, such as `features.3.conv`."""
    found: list[tuple[str, str]] = []
    for node in program.graph.nodes:
        if node.op != "call_function":
            continue
        kind = str(node.target).split(".")[1] if "." in str(node.target) else str(node.target)
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        inner = stack[-1][0] if stack else ""
        found.append((kind, str(inner).removeprefix("L['self'].") or node.name))
    return {
        relax: [label for kind, label in found if kind in kinds] for relax, kinds in _NAMED.items()
    }
