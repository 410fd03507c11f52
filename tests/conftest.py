"""Settings for all tests, and the fixtures of `support` that tests of several folders take."""

from __future__ import annotations

import os

import pytest

from tests.support.paths import ROOT

pytest_plugins = ["tests.support.emulated_programs", "tests.support.refusals"]

# What a shell, a terminal or a make around us says is not what a test is about.
for _name in (
    *("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"),
    *("CC", "CFLAGS", "CPPFLAGS", "LDFLAGS", "OPTIMISE", "WARNINGS", "BUILD"),
    *("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "GNUMAKEFLAGS", "MAKEFILES", "LANGUAGE"),
):
    os.environ.pop(_name, None)
os.environ |= {"LC_ALL": "C.UTF-8", "TERM": "xterm", "TZ": "UTC"}
os.umask(0o022)

# Two workers share two cores: threads inside NumPy's matrix product would only wait for each other.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# Nearly every test builds a program: what is the same is compiled once for each set of flags.
os.environ.setdefault("TINYTRAIN_OBJECTS", str(ROOT / "build" / "test-objects"))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Once, not in every worker."""
    if not hasattr(session.config, "workerinput"):
        # Where it writes is what this module has set.
        from tests.support.objects import forget_old

        forget_old()
