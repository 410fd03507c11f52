"""Settings for all tests."""

from __future__ import annotations

import os
from pathlib import Path

# Two workers share two cores: threads inside NumPy's matrix product would only wait for each other.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# Nearly every test builds a program: the runtime is compiled once for each set of flags.
_OBJECTS = Path(__file__).resolve().parents[1] / "build" / "test-objects"
os.environ.setdefault("TINYTRAIN_OBJECTS", str(_OBJECTS))
