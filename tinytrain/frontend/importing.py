"""Calls foreign code: quietly, and with every failure turned into one sentence."""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from tinytrain.errors import ModelError, TinytrainError, Where


@contextlib.contextmanager
def quiet() -> Iterator[io.StringIO]:
    """Catches warnings and what is printed, by C++ too; yields what Python code printed."""
    printed = io.StringIO()
    previous = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), _no_standard_error():
            warnings.simplefilter("ignore")
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                yield printed
    finally:
        logging.disable(previous)


@contextlib.contextmanager
def _no_standard_error() -> Iterator[None]:
    """Sends file descriptor 2 nowhere: C++ code logs there, which Python cannot catch."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


def call_importer(importer: Callable[[], Any], file: str | None, help: str) -> Any:
    """What the importer gives.

    Raises:
        ModelError: it failed; the sentence names the operation where the importer tells.
    """
    with quiet() as printed:
        try:
            return importer()
        except (TinytrainError, MemoryError):
            raise
        # The importers raise whatever they stumble over (AssertionError, KeyError, ...);
        # any of it means that this file is not one that they can read.
        except Exception as error:
            reason = _first_line(error)
        # What the importer left half done complains when it is collected: here, where it is quiet.
        gc.collect()
        operation = re.search(r"Error converting operator (\w+)", printed.getvalue())
    raise ModelError(
        f"the importer cannot read the operation '{operation.group(1)}'"
        if operation
        else "the importer cannot read the model",
        where=Where(file),
        help=help,
        detail=reason,
    )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[-1] if lines else ''}"
    return text if len(text) <= 200 else f"{text[:197]}..."
