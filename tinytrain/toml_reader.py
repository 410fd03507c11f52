"""TOML files that a user writes."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from tinytrain.errors import TinytrainError, UsageError, Where


def read_toml(
    file: Path,
    *,
    where: Where,
    unreadable: str,
    malformed: str,
    help: str | None = None,
    error: type[TinytrainError] = UsageError,
) -> dict[str, Any]:
    """What a TOML file holds.

    Args:
        where: the file, as errors name it.
        unreadable, malformed: the sentences where it cannot be read and where it is no TOML,
            without the reason.
        help: what helps where it is no TOML.
        error: what is raised.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as why:
        raise error(f"{unreadable}: {why.strerror}", where=where) from why
    # RecursionError comes of arrays that are nested too deep.
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as why:
        raise error(f"{malformed}: {why}", where=where, help=help) from why
