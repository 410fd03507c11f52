"""Targets: what a model can be compiled for, by name or from a file."""

from __future__ import annotations

import difflib
from pathlib import Path

from tinytrain import resources
from tinytrain.errors import UsageError
from tinytrain.target.file import read_target
from tinytrain.target.target import (
    ARITHMETIC_CFLAGS,
    COMMON_CFLAGS,
    STACK_CFLAGS,
    WARNINGS,
    BoardFacts,
    MemoryMap,
    Region,
    Serial,
    Target,
)

__all__ = [
    "ARITHMETIC_CFLAGS",
    "COMMON_CFLAGS",
    "STACK_CFLAGS",
    "WARNINGS",
    "BoardFacts",
    "MemoryMap",
    "Region",
    "Serial",
    "Target",
    "list_targets",
    "load_target",
    "targets",
]


def list_targets() -> tuple[str, ...]:
    """Names of the targets that tinytrain brings along, sorted."""
    return tuple(sorted(file.parent.name for file in _folder().glob("*/target.toml")))


def targets() -> tuple[Target, ...]:
    """The targets that tinytrain brings along, by name."""
    return tuple(load_target(name) for name in list_targets())


def load_target(name: str | Path) -> Target:
    """Read a target by name, or from a TOML file of one's own.

    Args:
        name: one of `list_targets()`, or a path that ends in `.toml`.

    Raises:
        UsageError: there is no such target, or its file lacks something or holds something unknown.
    """
    text = str(name)
    if text.endswith(".toml"):
        file = Path(text)
        return read_target(file, file.stem)
    known = list_targets()
    if text not in known:
        close = difflib.get_close_matches(text, known, n=1)
        raise UsageError(
            f"there is no target '{text}'" + (f"; did you mean '{close[0]}'?" if close else ""),
            detail="known: " + ", ".join(known),
            help="name one of these, or give the path of a target file ending in .toml",
        )
    return read_target(_folder() / text / "target.toml", text)


def _folder() -> Path:
    return resources.folder("targets")
