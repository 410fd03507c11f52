"""Tests take what they share from `tests.support`, and never from each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

FILES = sorted((ROOT / "tests").rglob("*.py"))
SUPPORT = "tests.support"


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names of what a file imports, what is imported from a module too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            yield from (f"{dots}{node.module or ''}.{alias.name}" for alias in node.names)


def of_other_tests(tree: ast.AST) -> list[str]:
    """What a file imports from test modules: by their full name, relatively, as a neighbour."""
    return [name for name in imported(tree) if not name.startswith(f"{SUPPORT}.") and _ours(name)]


def _ours(name: str) -> bool:
    return name.startswith((".", "tests.", "test_", "conftest"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_nothing_is_imported_from_a_test_module(file: Path) -> None:
    assert not of_other_tests(ast.parse(file.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "line",
    [
        "from tests.plan.test_plan import step_of",
        "from tests.errors import conftest",
        "import tests.plan.test_plan",
        "from test_plan import step_of",
        "import conftest",
        "from . import test_plan",
    ],
)
def test_every_way_to_import_a_test_module_is_seen(line: str) -> None:
    assert of_other_tests(ast.parse(line))


def test_support_holds_no_test() -> None:
    found = [
        file.name
        for file in FILES
        if SUPPORT.replace(".", "/") in file.as_posix() and file.name.startswith("test_")
    ]
    assert not found
