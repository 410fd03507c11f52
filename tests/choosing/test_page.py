"""docs/choosing.md: the ways to choose channels are those of the table."""

from __future__ import annotations

from tests.support.pages import hold_section
from tests.support.paths import ROOT
from tinytrain.scheme.ways import WAYS


def test_the_page_shows_every_way() -> None:
    default = next(iter(WAYS))
    lines = ["| `channels` | train | from | needs |", "|---|---|---|---|"]
    for word, way in WAYS.items():
        name = f"**`{word}`**" if word == default else f"`{word}`"
        what = way.what.replace("|", "\\|")
        needs = "labelled samples" if way.measured else ""
        lines.append(f"| {name} | {what} | {way.source} | {needs} |")
    hold_section("choosing.md", "ways", "\n".join([*lines, ""]))


def test_where_a_scheme_is_explained_every_word_stands() -> None:
    text = (ROOT / "docs" / "learn.md").read_text(encoding="utf-8")
    *most, last = WAYS
    assert f"which input channels: {', '.join(most)} or {last}" in text
