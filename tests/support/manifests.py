"""Manifests that say something else than the compiler wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

WAYS = [
    {
        "way": "line buffering",
        "detail": "a chain of 11 layers",
        "saved_bytes": 118_000,
        "instructions": 1_234_567,
    },
    {
        "way": "in-place reuse",
        "detail": "12 depthwise layers",
        "saved_bytes": 8_192,
        "instructions": 0,
    },
]
"""As the manifest lists what each memory optimization saved."""

Change = Callable[[dict[str, Any]], object]


def change_manifest(folder: Path, change: Change) -> None:
    """Rewrites a manifest as `change` leaves it."""
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    change(manifest)
    file.write_text(json.dumps(manifest), encoding="utf-8")
