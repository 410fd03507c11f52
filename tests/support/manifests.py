"""Manifests that say something else than the compiler wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

WAYS = [
    {
        "way": "streaming",
        "detail": "conv_0 to conv_10 in 34 turns of 4 rows",
        "saved_bytes": 118_000,
        "instructions": 1_234_567,
    },
    {"way": "takeover", "detail": "of 12 layers", "saved_bytes": 8_192, "instructions": 0},
]
"""As the manifest lists what each way of saving memory brought."""

Change = Callable[[dict[str, Any]], object]


def change_manifest(folder: Path, change: Change) -> None:
    """Rewrites a manifest as `change` leaves it."""
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    change(manifest)
    file.write_text(json.dumps(manifest), encoding="utf-8")
