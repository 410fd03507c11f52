"""Where the repository is, and the folder beside it with models and data that it does not hold."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = ROOT / "runtime_c"
SCHEMES = ROOT / "examples" / "schemes"

SHARED = ROOT.parent / "shared"
SHARED_MODELS = SHARED / "models"
