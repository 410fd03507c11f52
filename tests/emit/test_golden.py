"""The C of a small model, whole, and the IR behind it: a change of either shows in review.

To accept a change: UPDATE_GOLDEN=1 .venv/bin/python -m pytest tests/emit
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

from tests.support.graphs import signal
from tinytrain.compiler.folder import write_folder
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.emit.c_text import float_literal, identifier, initializer, int_literal
from tinytrain.ir.text import format_graph
from tinytrain.kernel.sources import runtime_files
from tinytrain.passes.base import Runner
from tinytrain.target import load_target
from tinytrain.toolchain.c_layout import WIDTH

GOLDEN = Path(__file__).parent / "golden"


def held(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_ir_and_c_of_the_signal_network(tmp_path: Path) -> None:
    compiled = build_step(signal(), Options(scheme="last-1", seed=5), Runner())
    product = write_folder(compiled, tmp_path / "out", target=load_target("mps2-an500"))
    held("signal.ir.txt", format_graph(compiled.graph))
    for name in ("model_signal.h", "model_signal.c"):
        held(name, (product.directory / "src" / name).read_text(encoding="utf-8"))


def test_only_what_is_used_is_shipped() -> None:
    files = runtime_files({"tt_add_s8"})
    assert "src/tt_add.c" in files
    assert "src/tt_max_pool2d.c" not in files
    for text in files.values():
        for name in re.findall(r'#include "([^"]+)"', text):
            assert f"src/{name}" in files or f"include/{name}" in files, name


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a-b.c", "a_b_c"),
        ("3d", "model_3d"),
        ("int", "model_int"),
        ("__x__", "x"),
        ("", "model"),
        ("äö", "model"),
    ],
)
def test_identifiers(text: str, wanted: str) -> None:
    assert identifier(text) == wanted


def test_literals() -> None:
    assert int_literal(-(2**31)) == "(-2147483647 - 1)"
    assert float.fromhex(float_literal(0.1)[:-1]) == pytest.approx(0.1, rel=1e-7)
    assert float_literal(1024.0, in_header=True) == "1024.0f"
    for value in (0.1, 1e-30, 3.4e38, 2.0**-149):
        text = float_literal(value, in_header=True)
        assert np.float32(text[:-1]) == np.float32(value), text

    assert initializer(np.array([1, -2, 3], np.int8)) == "{\n    1, -2, 3\n}"
    assert max(map(len, initializer(np.arange(500)).splitlines())) <= WIDTH
