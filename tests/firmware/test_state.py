"""The C interface under bad files, failing callbacks and bad arguments, with sanitizers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.host_programs import SANITIZERS, Compile, link


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scheme": "last-1", "gradient": "s16", "fraction_bits": 0},
        pytest.param({"scheme": "bias"}, marks=pytest.mark.slow),
        {"scheme": "last-1", "replay": 2},
    ],
    ids=["full", "last-1", "bias", "replay"],
)
def test_saved_files(options: dict[str, object], generated: Compile, tmp_path: Path) -> None:
    folder = generated("small", **options)
    told = link("saved_files.c", [folder], tmp_path).run()
    word, count = told.split()
    assert word == "ok"
    assert int(count) > 500


@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error"])
@pytest.mark.parametrize("gradient", ["s8", pytest.param("f32", marks=pytest.mark.slow)])
def test_arguments(loss: str, gradient: str, generated: Compile, tmp_path: Path) -> None:
    folder = generated("small", loss=loss, gradient=gradient, schedule="constant")
    assert link("arguments.c", [folder], tmp_path).run() == "ok\n"


@pytest.mark.parametrize("window", [1, 4])
def test_rate_limit(window: int, generated: Compile, tmp_path: Path) -> None:
    folder = generated("small", scheme="head", rate_limit=0.5, accumulate=window)
    program = link("rate_limit.c", [folder], tmp_path, flags=[*SANITIZERS, f"-DWINDOW={window}"])
    assert program.run() == "ok\n"


@pytest.mark.parametrize("scheme", ["head", pytest.param("last-1", marks=pytest.mark.slow)])
def test_rows(scheme: str, generated: Compile, tmp_path: Path) -> None:
    folders = [
        generated(name, scheme=scheme, feed=feed, shape=(1, 3, 9, 6))
        for name, feed in (("rows", "rows"), ("whole", "whole"))
    ]
    assert link("feed.c", folders, tmp_path).run() == "ok\n"


def test_a_header_that_the_compiler_did_not_read_is_refused(
    generated: Compile, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(generated("small"), tmp_path / "small"))
    command = ["gcc", "-std=c11", "-fsyntax-only", "-Iinclude", "-Isrc", "src/small.c"]
    assert subprocess.run(command, cwd=folder, check=False).returncode == 0
    header = folder / "include" / "tt_saved_file.h"
    text = header.read_text(encoding="utf-8")
    header.write_text(text.replace("    uint32_t seed;", "    uint64_t seed;"), encoding="utf-8")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "the sizes that tinytrain read in tt_saved_file.h" in done.stderr
