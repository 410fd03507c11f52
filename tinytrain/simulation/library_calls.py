"""A model in a shared library of this machine: its memory, and calls of its functions."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np

from tinytrain.errors import DataError, ToolchainError, UsageError, Where
from tinytrain.manifest.interface import ModelInterface
from tinytrain.simulation.status import STATUS

_OF_TRAINING = ("set_learning_rate", "learning_rate", "library_train")


class LibraryCalls:
    """The library and the memory of one session, which holds nothing yet.

    Args:
        path: from `build_library`.
        model: of the same folder.

    Raises:
        ToolchainError: the library cannot be loaded.
    """

    def __init__(self, path: Path, model: ModelInterface) -> None:
        self.model = model
        try:
            self._functions = ctypes.CDLL(str(path.resolve()))
        except OSError as error:
            raise ToolchainError(f"the library cannot be loaded: {error}") from error
        size = self._function("library_size", ctypes.c_size_t)()
        self._memory = np.zeros(-(-size // 8), np.uint64)
        # The state, and in it or behind it the replay slots.
        self._state = ctypes.c_void_p(self._memory.ctypes.data)

    def close(self) -> None:
        """Nobody calls it any more."""

    def _function(self, name: str, result: type | None) -> Callable[..., int]:
        if name in _OF_TRAINING and not self.model.trains:
            raise UsageError(
                "the scheme none trains nothing, nor does a model that was compiled with inference",
                help="call infer or enrol, or compile with scheme='head'",
            )
        function = getattr(self._functions, f"{self.model.name}_{name}")
        function.restype = result
        return cast(Callable[..., int], function)


def pointer(array: np.ndarray | None) -> ctypes.c_void_p:
    """To the first element; NULL for None."""
    return ctypes.c_void_p(None if array is None else array.ctypes.data)


def check(status: int) -> None:
    """Raises a DataError for a status that is not TT_OK."""
    if status != 0:
        what = STATUS[status] if status < len(STATUS) else f"status {status}"
        raise DataError(f"the model refuses: {what}", where=Where("the host library"))
