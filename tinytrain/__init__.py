"""tinytrain compiles a trained model into C that goes on training it on a microcontroller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Preprocess", "Product", "TinytrainError", "compile_model"]

if TYPE_CHECKING:
    from tinytrain.compile import Product, compile_model
    from tinytrain.data import Preprocess
    from tinytrain.errors import TinytrainError


def __getattr__(name: str) -> Any:
    # Imported when first asked for, so that `tinytrain --help` does not wait for NumPy.
    if name in ("compile_model", "Product"):
        from tinytrain import compile as module
    elif name == "Preprocess":
        from tinytrain import data as module
    elif name == "TinytrainError":
        from tinytrain import errors as module
    else:
        raise AttributeError(f"module 'tinytrain' has no attribute '{name}'")
    return getattr(module, name)
