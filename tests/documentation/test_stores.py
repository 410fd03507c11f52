"""The pages on stores of others: their C compiles, and what can run without a board runs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.generated import compile_into
from tests.support.paths import ROOT

PAGES = sorted((ROOT / "docs" / "stores").glob("*.md"))
STUBS = Path(__file__).parent / "stubs"
GCC = ("gcc", "-std=c11", "-Wall", "-Wextra", "-Wno-unused", "-Werror", "-D_DEFAULT_SOURCE")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("stores")
    return compile_into(place)("own", scheme="head", schedule="constant")


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```c\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def compiled(folder: Path, place: Path, *arguments: str) -> None:
    include = [f"-I{path}" for path in (STUBS, folder / "include", folder / "src", place)]
    done = subprocess.run([*GCC, *include, *arguments], cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_c(page: Path, folder: Path, tmp_path: Path) -> None:
    assert blocks(page)
    for block in blocks(page):
        (tmp_path / "block.c").write_text(block)
        compiled(folder, tmp_path, "-c", "block.c")


def test_records_survive_power_cuts(folder: Path, tmp_path: Path) -> None:
    block = blocks(ROOT / "docs" / "stores" / "zephyr.md")[1]
    (tmp_path / "block.c").write_text(block)
    sources = [str(path) for path in sorted((folder / "src").glob("*.c"))]
    compiled(folder, tmp_path, "-g", str(STUBS / "nvs_cuts.c"), *sources, "-lm", "-o", "cuts")
    done = subprocess.run([str(tmp_path / "cuts")], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "ok\n")


def test_every_page_says_what_was_run() -> None:
    for page in PAGES:
        assert "The tests compile the code" in " ".join(page.read_text("utf-8").split())
