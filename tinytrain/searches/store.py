"""What a search has measured: a folder with a file for each fact, whole or not there.

A fact is named by all that decides it: the code, the model with its options, the data, and what was
asked. So a search that was interrupted goes on, and one with another budget reads what is there.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tinytrain.experiments.once import write_text
from tinytrain.output_file import make_folder


class Store:
    """Facts of one kind of search, as `KIND/KEY.json`.

    Args:
        folder: made where it is not there.

    Raises:
        UsageError: it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held: dict[tuple[str, str], dict[str, Any]] = {}
        make_folder(folder, "--store")

    def read(self, kind: str, key: str) -> Mapping[str, Any] | None:
        """What is known; None where nothing is. A damaged file is as good as none."""
        if (kind, key) not in self._held:
            try:
                found = json.loads(self._path(kind, key).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                return None
            if not isinstance(found, dict) or "title" not in found:
                return None
            self._held[kind, key] = found
        return self._held[kind, key]

    def count(self, kind: str) -> int:
        """How many facts of a kind there are."""
        return sum(1 for _ in (self.folder / kind).glob("*.json"))

    def keep(self, kind: str, key: str, title: str, record: Mapping[str, Any]) -> None:
        """Writes what was found before anything else happens; the title is for people."""
        self._held[kind, key] = dict(record)
        path = self._path(kind, key)
        path.parent.mkdir(exist_ok=True)
        write_text(path, json.dumps({"title": title, **record}, indent=1, allow_nan=False) + "\n")

    def _path(self, kind: str, key: str) -> Path:
        return self.folder / kind / f"{key}.json"


def key_of(*parts: object) -> str:
    """A name for what `parts` say, 32 hex digits; they are written as JSON."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def digest_of_arrays(arrays: Iterable[Any]) -> str:
    """SHA-256 of arrays with their shapes and dtypes, 64 hex digits."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def finite(value: float) -> float | None:
    """A number as JSON has it: None where it is not finite."""
    return float(value) if math.isfinite(value) else None
