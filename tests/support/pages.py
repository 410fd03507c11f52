"""Pages of the documentation that a test writes: what stands between two marks comes from the code.

To bring them in step: UPDATE_DOCS=1 .venv/bin/python -m pytest tests/manifest tests/firmware
"""

from __future__ import annotations

import inspect
import os
import re
from pathlib import Path

from tests.support.paths import ROOT


def hold_section(page: str, name: str, text: str) -> None:
    """Asserts that a page of docs has this text between the marks of a name; or writes it there."""
    path = Path(ROOT, "docs", page)
    whole = path.read_text(encoding="utf-8")
    begin, end = f"<!-- written by a test: {name} -->\n", f"<!-- end: {name} -->\n"
    before, mark, rest = whole.partition(begin)
    held, other, after = rest.partition(end)
    assert mark and other, f"docs/{page} has no marks of '{name}'"
    if os.environ.get("UPDATE_DOCS"):
        path.write_text(f"{before}{begin}{text}{end}{after}", encoding="utf-8")
        held = text
    assert held == text, f"docs/{page} is out of step: UPDATE_DOCS=1 makes the test write it"


def attributes_of(record: type) -> dict[str, str]:
    """What a class says of each of its attributes, on one line."""
    section = inspect.getdoc(record).partition("Attributes:\n")[2]  # type: ignore[union-attr]
    section = re.split(r"\n(?=\S)", section)[0]
    found = {}
    for entry in re.split(r"\n(?=    \S)", section):
        names, _, text = entry.strip().partition(": ")
        for name in names.split(", "):
            found[name] = " ".join(text.split())
    return found


def summary_of(record: type) -> str:
    """The first paragraph of what a class says of itself."""
    return " ".join(inspect.getdoc(record).partition("\n\n")[0].split())  # type: ignore[union-attr]
