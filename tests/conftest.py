"""Settings for all tests."""

from __future__ import annotations

import os

# Two workers share two cores: threads inside NumPy's matrix product would only wait for each other.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
