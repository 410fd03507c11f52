"""What README and the guides show is run: shell and Python as they stand, C against a real model.

Blocks of one page are run in order, in a folder that looks like the repository's root. A block that
is not to be run is not fenced as `sh`, `python`, `c` or `toml`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinytrain
from tests.support import two_inputs
from tests.support.paths import ROOT
from tinytrain.target import load_target

PAGES = ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SETUP = re.compile(r"^make (demo|test)\b.*$", re.MULTILINE)
"""What CI runs by itself."""


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return [code for kind, code in _FENCE.findall((ROOT / page).read_text()) if kind == language]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's root as a fresh checkout would be, with what its setup makes."""
    place = tmp_path_factory.mktemp("root")
    for entry in ROOT.iterdir():
        if entry.name not in (".git", "build"):
            (place / entry.name).symlink_to(entry)
    return place


def run_shell(code: str, cwd: Path, **variables: str) -> None:
    """Runs a block as bash would in a terminal, where an error ends it."""
    script = "set -eu\nshopt -s expand_aliases\n" + code
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **variables}
    done = subprocess.run(
        ["bash", "-c", script], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
def test_shell(root: Path) -> None:
    (readme,) = [b for b in blocks("README.md", "sh") if "own_model" in b]
    run_shell(readme, root)
    session = "\n".join(["cd build/own-model", "alias tinytrain=../../.venv/bin/tinytrain"])
    for block in blocks("docs/learn.md", "sh"):
        run_shell(f"{session}\n{block}", root)
    for block in blocks("docs/training.md", "sh"):
        run_shell(block, root)


@pytest.mark.slow
def test_search_shell(tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "digits" / "digits.onnx", tmp_path / "own.onnx")
    rng = np.random.default_rng(0)
    for name in ("learn", "test"):
        x = rng.random((64, 1, 8, 8), dtype=np.float32)
        np.savez(tmp_path / f"{name}.npz", x=x, y=np.arange(64) % 10)
    (block,) = blocks("docs/choosing.md", "sh")
    run_shell(f"alias tinytrain='{sys.executable} -m tinytrain.cli'\n{block}", tmp_path)
    assert (tmp_path / "scheme.html").is_file() and (tmp_path / "own").is_dir()


def test_completion_is_written_where_the_page_says(tmp_path: Path) -> None:
    (block,) = blocks("docs/options.md", "sh")
    for folder in (".zfunc", ".config/fish/completions"):
        (tmp_path / folder).mkdir(parents=True)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    run_shell(block, tmp_path, HOME=str(tmp_path), PATH=path)
    assert (tmp_path / ".zfunc/_tinytrain").read_text().startswith("#compdef tinytrain")


def test_every_page_with_a_shell_session_is_run() -> None:
    run = {f"docs/{page}.md" for page in ("choosing", "learn", "training", "options")}
    run |= {"README.md"}
    assert {page for page in PAGES if blocks(page, "sh")} == run


def test_every_other_shell_block_is_the_setup() -> None:
    for block in blocks("README.md", "sh"):
        assert "own_model" in block or not _SETUP.sub("", block).strip()


def test_python(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shutil.copy(ROOT / "examples" / "digits" / "digits.onnx", tmp_path / "own.onnx")
    for name in ("calibration", "learn", "judge"):
        x = rng.random((32, 1, 8, 8), dtype=np.float32)
        np.savez(tmp_path / f"{name}.npz", x=x, y=rng.integers(0, 10, 32))
    for page in PAGES:
        for number, block in enumerate(blocks(page, "python")):
            (tmp_path / "example.py").write_text(block)
            done = subprocess.run(
                [sys.executable, "example.py"],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
            assert number or "bytes of RAM" in done.stdout


def test_toml() -> None:
    for page in PAGES:
        for block in blocks(page, "toml"):
            assert tomllib.loads(block)


def test_the_target_that_is_shown_is_one(tmp_path: Path) -> None:
    (block,) = blocks("docs/targets.md", "toml")
    (tmp_path / "mine.toml").write_text(block)
    assert load_target(str(tmp_path / "mine.toml")).clock_hz == 64_000_000


_APPLICATION = """\
#include <stddef.h>
#include <stdint.h>
#include "tt_store.h"
static int read_flash(void *context, uint32_t address, void *data, size_t size)
{ (void)context; (void)address; (void)data; (void)size; return 1; }
static int program_flash(void *context, uint32_t address, const void *data, size_t size)
{ (void)context; (void)address; (void)data; (void)size; return 0; }
static int erase_flash(void *context, uint32_t address, size_t size)
{ (void)context; (void)address; (void)size; return 0; }
#define TEST_COUNT 3u
#include "own.h"
static float test_pixels[OWN_INPUT_SIZE];
static const float *test_sample(size_t i) { (void)i; return test_pixels; }
static int32_t test_label(size_t i) { return (int32_t)i; }
static void log_text(const char *text) { (void)text; }
static void log_loss(float loss) { (void)loss; }
static void feed_the_watchdog(void) {}
static void do_what_is_due(void) {}
static int a_sample_is_due(void) { return 1; }
static const float *next_sample(void) { return test_pixels; }
static void show_progress(uint32_t share) { (void)share; }
static void raise_alarm(float score, float threshold) { (void)score; (void)threshold; }
static void on_class_absent(uint32_t label, uint32_t since) { (void)label; (void)since; }
"""
"""What a page takes for granted: callbacks and samples of the application."""

_STORE = "static tt_store_medium medium;\nstatic tt_store store;\n"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model called `own` by how a sample arrives, and one with two inputs."""
    place = tmp_path_factory.mktemp("own")
    samples = np.random.default_rng(0).random((16, 1, 8, 8), dtype=np.float32)
    labelled = [{"x": samples, "y": np.arange(16) % 10}]
    kept = {"replay": 4, "enrol": "ncm", "rehearse": (samples, np.arange(16) % 10)}
    kinds: dict[str, dict[str, Any]] = {
        "whole": {
            **kept,
            "anomaly": "diagonal",
            "pseudo_labels": True,
            "calibration": labelled,
            "self_test": True,
            "link": True,
        },
        "rows": {**kept, "feed": "rows"},
        "follow": {"follow": "3"},
        "guard": {"guard": 128},
        "portions": {
            "portions": 0.01,
            "concurrent": True,
            "rehearse": (samples, np.arange(16) % 10),
        },
    }
    for kind, options in kinds.items():
        tinytrain.compile_model(
            ROOT / "examples" / "digits" / "digits.onnx",
            output=place / kind,
            name="own",
            **{"calibration": samples, "scheme": "head", **options},
        )
    window, features, _ = two_inputs.samples()
    tinytrain.compile_model(
        two_inputs.TwoBranches(),
        two_inputs.EXAMPLE,
        output=place / "several",
        name="own",
        calibration=(window, features),
        scheme="head",
    )
    return {kind: place / kind for kind in (*kinds, "several")}


_GCC = ("gcc", "-std=c11", "-Wall", "-Wextra", "-Wno-unused", "-Werror", "-c")


@pytest.mark.parametrize("page", PAGES)
def test_c(page: str, folders: dict[str, Path], tmp_path: Path) -> None:
    for number, block in enumerate(blocks(page, "c")):
        kind = "rows" if "_feed_rows" in block else "several" if "_input1" in block else "whole"
        kind = "follow" if "_follow(" in block else "guard" if "_guard(" in block else kind
        kind = "portions" if "_step_run(" in block else kind
        folder = folders[kind]
        state = "" if "own_state state" in block else "static own_state state;\n"
        state += "" if "tt_store_medium medium" in block else _STORE
        source = tmp_path / f"block_{number}.c"
        source.write_text(_APPLICATION + state + block)
        includes = (f"-I{folder / 'include'}", f"-I{folder / 'src'}")
        done = subprocess.run(
            [*_GCC, *includes, source.name], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{block}\n{done.stderr}"
