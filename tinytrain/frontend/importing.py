"""Calls TVM's importers: quietly, and with every failure turned into one sentence."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from tinytrain.errors import ModelError, TinytrainError, Where


@contextlib.contextmanager
def quiet() -> Iterator[io.StringIO]:
    """Catches warnings and what Python code prints; yields what was printed."""
    printed = io.StringIO()
    previous = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                yield printed
    finally:
        logging.disable(previous)


def call_importer(importer: Callable[[], Any], file: str | None, way_out: str) -> Any:
    """What the importer gives.

    Raises:
        ModelError: it failed; the sentence names the operation where the importer tells.
    """
    with quiet() as printed:
        try:
            return importer()
        except (TinytrainError, KeyboardInterrupt, MemoryError):
            raise
        # The importers raise whatever they stumble over (AssertionError, KeyError, TVMError, ...);
        # any of it means that this file is not one that they can read.
        except Exception as error:
            operation = re.search(r"Error converting operator (\w+)", printed.getvalue())
            raise ModelError(
                f"the importer cannot read the operation '{operation.group(1)}'"
                if operation
                else "the importer cannot read the model",
                where=Where(file),
                way_out=way_out,
                detail=_first_line(error),
            ) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[-1] if lines else ''}"
    return text if len(text) <= 200 else f"{text[:197]}..."
