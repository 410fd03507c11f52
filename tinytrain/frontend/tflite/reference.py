"""Runs a TFLite file with LiteRT's reference kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinytrain.frontend.imported import Missing, Reference
from tinytrain.frontend.importing import quiet
from tinytrain.tools import how_to_get


def reference(data: bytes) -> Reference | Missing:
    """LiteRT, where it is installed."""
    try:
        import ai_edge_litert.interpreter as litert
    except ImportError:
        return Missing("LiteRT is not installed", how_to_get("ai-edge-litert"))
    interpreter: list[Any] = []

    def run(inputs: Sequence[np.ndarray], tensors: Sequence[str]) -> Mapping[str, np.ndarray]:
        with quiet():
            if not interpreter:
                # The reference kernels: the fast ones add in another order, and round otherwise.
                made = litert.Interpreter(
                    model_content=data,
                    experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF,
                    experimental_preserve_all_tensors=True,
                )
                interpreter.append(made)
            return _run(interpreter[0], inputs, tensors)

    return Reference("LiteRT", run)


def _run(
    interpreter: Any, inputs: Sequence[np.ndarray], tensors: Sequence[str]
) -> dict[str, np.ndarray]:
    details = interpreter.get_input_details()
    for detail, x in zip(details, inputs, strict=True):
        interpreter.resize_tensor_input(detail["index"], x.shape)
    interpreter.allocate_tensors()
    for detail, x in zip(details, inputs, strict=True):
        interpreter.set_tensor(detail["index"], _as_input(detail, x))
    interpreter.invoke()
    found = {}
    for key in tensors:
        index = int(key.split(":", 1)[0])
        try:
            found[key] = interpreter.get_tensor(index)
        except ValueError:  # a tensor that a fused kernel never writes
            continue
    return found


def _as_input(detail: Any, x: np.ndarray) -> np.ndarray:
    dtype = detail["dtype"]
    if dtype == np.float32:
        return x
    scale, zero = detail["quantization"]
    limits = np.iinfo(dtype)
    q = np.rint(x / np.float32(scale)) + zero
    return np.asarray(np.clip(q, limits.min, limits.max), dtype=dtype)
