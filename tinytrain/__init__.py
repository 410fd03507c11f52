"""tinytrain compiles a trained model into C that goes on training it on a microcontroller."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tinytrain.version import __version__

__all__ = ["Preprocess", "Product", "TinytrainError", "__version__", "compile_model"]

_HOMES = {
    "Preprocess": "tinytrain.data",
    "Product": "tinytrain.compiler.folder",
    "TinytrainError": "tinytrain.errors",
    "compile_model": "tinytrain.compiler.compile",
}

if TYPE_CHECKING:
    from tinytrain.compiler.compile import compile_model
    from tinytrain.compiler.folder import Product
    from tinytrain.data import Preprocess
    from tinytrain.errors import TinytrainError


def __getattr__(name: str) -> Any:
    # Imported when first asked for, so that `tinytrain --help` does not wait for NumPy.
    if name not in _HOMES:
        raise AttributeError(f"module 'tinytrain' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
