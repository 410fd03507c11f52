"""The kernel tests in a process of their own, on a library that may stop it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT

VARIABLE = "TINYTRAIN_TEST_RUNTIME"


def run_kernel_tests(
    library: Path, *options: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs the tests that take `kernels` on one library, in a process that may crash."""
    files = sorted(map(str, (ROOT / "tests" / "runtime").glob("test_*_kernels.py")))
    assert files
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-s",
        "-x",
        "-p",
        "no:cacheprovider",
        *options,
        *files,
    ]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    variables = {**os.environ, "PYTHONPATH": path, VARIABLE: str(library), **environment}
    return subprocess.run(
        command, env=variables, cwd=ROOT, capture_output=True, text=True, check=False
    )
