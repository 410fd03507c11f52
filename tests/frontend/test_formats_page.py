"""docs/models.md lists what the readers read, and its Keras session runs where TensorFlow is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.pages import hold_section
from tests.support.paths import ROOT
from tinytrain.frontend.onnx import operations as onnx_operations
from tinytrain.frontend.tflite import operations as tflite_operations

FORMATS = {"ONNX": onnx_operations.OPERATIONS, "TFLite": tflite_operations.OPERATIONS}


def test_the_page_lists_what_is_read() -> None:
    lines = ["", "| format | operations |", "|---|---|"]
    for name, operations in FORMATS.items():
        domains: dict[str, list[str]] = {}
        for operation in sorted(operations):
            domain, _, kind = operation.rpartition(".")
            domains.setdefault(domain, []).append(f"`{kind}`")
        for domain, kinds in sorted(domains.items()):
            title = f"{name}, {domain}" if domain else name
            lines.append(f"| {title} | {' '.join(kinds)} |")
    hold_section("models.md", "formats", "\n".join([*lines, "", ""]))


@pytest.mark.slow
@pytest.mark.skipif(find_spec("tensorflow") is None, reason="TensorFlow is not installed")
def test_the_keras_session_runs(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```py\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "from_int8" / "manifest.json").is_file()


def test_the_keras_session_is_python() -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```py\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    compile(code, "models.md", "exec")
