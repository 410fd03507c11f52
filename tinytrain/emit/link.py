"""A model behind a serial line: what joins it to `tt_link`, and the program around both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinytrain.emit.model_files import ModelFiles
from tinytrain.simulation.stream import TARGET_DTYPES
from tinytrain.toolchain.template import render
from tinytrain.version import __version__

LINK_FUNCTIONS = frozenset(
    {"tt_link_init", "tt_link_poll", "tt_link_receives", "tt_link_saw", "tt_link_set_lock"}
)
"""Of the runtime, which such a model calls."""


def link_files(
    arena: int, files: ModelFiles, settings: int, context: Mapping[str, Any]
) -> dict[str, str]:
    """The text of NAME_link.c and NAME_link.h, by file name.

    Args:
        arena: its bytes. A saved file lies there while it is on its way.
        files: of the model.
        settings: of `settings_crc`.
        context: what templates of programs around it name.
    """
    model = files.interface
    saved = model.saved_bytes + (model.replay.samples_bytes if model.replay else 0)
    text = {
        **context,
        "version": __version__,
        "hash_bytes": ", ".join(map(str, files.model_hash)),
        "input_size": model.input_size,
        "target_bytes": model.target_size * np.dtype(TARGET_DTYPES[model.wants]).itemsize,
        "settings": settings,
        "learned_bytes": model.saved_bytes,
        "saved_bytes": saved,
        "rest_bytes": max(0, saved - arena),
    }
    return {
        f"{model.name}_link.{suffix}": render("codegen", f"link.{suffix}.j2", **text)
        for suffix in ("c", "h")
    }


def link_main(name: str) -> str:
    """The text of the program."""
    return render("codegen", "main_link.c.j2", name=name)
