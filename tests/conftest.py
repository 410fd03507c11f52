"""Settings for all tests, and the fixtures of `support` that tests of several folders take."""

from __future__ import annotations

import os

from tests.support.paths import ROOT

pytest_plugins = ["tests.support.emulated_programs", "tests.support.refusals"]

# Two workers share two cores: threads inside NumPy's matrix product would only wait for each other.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# Nearly every test builds a program: the runtime is compiled once for each set of flags.
os.environ.setdefault("TINYTRAIN_OBJECTS", str(ROOT / "build" / "test-objects"))
