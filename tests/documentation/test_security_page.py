"""docs/security.md: each promise is held by tests that there are."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = re.findall(
    r"^\| (\d+) \| (.+?) \| (.+?) \|$", PAGE.split("<!-- promises -->")[1], re.MULTILINE
)


def test_promises_are_numbered_and_each_holds_somebody_off() -> None:
    numbers = list(range(1, len(ROWS) + 1))
    assert [int(number) for number, *_ in ROWS] == numbers
    table = PAGE.split("## Against whom")[1].split("##")[0]
    cells = re.findall(r"^\|.*\| (.+?) \|$", table, re.MULTILINE)[1:]
    named: set[int] = set()
    for first, last in re.findall(r"(\d+)(?: to (\d+))?", " ".join(cells)):
        named |= set(range(int(first), int(last or first) + 1))
    assert sorted(named) == numbers


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_holds_a_promise_exists(row: tuple[str, str, str]) -> None:
    tests = re.findall(r"`(tests/\S+?\.py)::(\w+)`", row[2])
    assert tests, row[1]
    assert re.sub(r"`tests/\S+?\.py::\w+`", "", row[2]).strip(", ") == ""
    for file, name in tests:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        found = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        assert name in found, f"{file} has no test {name}"


def test_where_to_report_leads_here() -> None:
    assert "docs/security.md" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")
