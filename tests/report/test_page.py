"""The page as text: complete, alone, the same bytes, and safe whatever names it shows."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.support.manifests import WAYS, Change, change_manifest
from tinytrain.manifest import Manifest, read_manifest
from tinytrain.reports.page import report_page
from tinytrain.reports.picture import byte_ticks, step_ticks
from tinytrain.reports.wording import count_text, percent_text, seconds_basis, seconds_text

_VOID = {"meta", "link", "input", "br"}


class Page(HTMLParser):
    """Tags of a page with their attributes; every tag must be closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def of(self, tag: str, name: str = "") -> list[dict[str, str | None]]:
        """Attributes of each tag of a class."""
        wanted = {name} - {""}
        return [a for t, a in self.tags if t == tag and wanted <= {*(a.get("class") or "").split()}]


def changed(compiled: Path, place: Path, change: Change) -> Manifest:
    folder = shutil.copytree(compiled, place / "changed")
    change_manifest(folder, change)
    return read_manifest(folder)


def test_every_storage_is_a_bar(real: Path) -> None:
    report = read_manifest(real)
    page = Page(report_page(report).decode())
    found = sorted(
        (bar["data-name"], *(int(bar[key] or "") for key in ("x", "y", "width", "height")))
        for bar in page.of("rect", "bar")
    )
    top = report.arena.nbytes
    assert found == sorted(
        (s.name, s.first, top - s.offset - s.nbytes, s.last - s.first + 1, s.nbytes)
        for s in report.arena.storages
    )
    assert len(page.of("rect", "hit")) == len(report.arena.steps)


def test_the_page_stands_alone_and_is_always_the_same(real: Path) -> None:
    text = report_page(read_manifest(real)).decode()
    assert text == report_page(read_manifest(real)).decode()
    page = Page(text)
    for _, attributes in page.tags:
        for key in ("src", "href", "xlink:href", "action"):
            assert attributes.get(key) in (None, "data:,")
    assert not re.search(r"https?:|@import|url\(", text)
    assert not re.search(r"\b20\d\d-\d\d-\d\d\b", text)
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert "None" not in text and "Undefined" not in text


def test_ways_are_shown_where_there_are_any(compiled: Path, tmp_path: Path) -> None:
    assert 'id="ways"' not in report_page(read_manifest(compiled)).decode()
    report = changed(compiled, tmp_path, lambda m: m["arena"].update(ways=WAYS))
    text = report_page(report).decode()
    assert "a chain of 11 layers" in text
    assert "118,000" in text and "+1,234,567" in text


def test_a_gap_is_shown(compiled: Path, tmp_path: Path) -> None:
    def less(manifest: dict[str, Any]) -> None:
        manifest["arena"]["bytes"] += 512

    report = changed(compiled, tmp_path, less)
    text = report_page(report).decode()
    assert 'class="bound-line"' in text and "512 B above the least possible" in text


def test_names_are_shown_as_they_are(compiled: Path, tmp_path: Path) -> None:
    evil = "</title></script><script>alert('&\"')</script>"

    def rename(manifest: dict[str, Any]) -> None:
        manifest["target"] = manifest["options"]["scheme"] = manifest["model"]["file"] = evil
        for key in ("storages", "steps"):
            for entry in manifest["arena"][key]:
                entry.update(name=evil, layer=evil)
        manifest["layers"][0]["name"] = manifest["arena"]["peak"] = evil
        manifest["arena"]["ways"] = [{**WAYS[0], "way": evil, "detail": evil}]

    before = Page(report_page(read_manifest(compiled)).decode())
    page = Page(report_page(changed(compiled, tmp_path, rename)).decode())
    assert len(page.of("script")) == len(before.of("script")) == 1
    assert page.of("rect", "bar")[0]["data-name"] == evil


def test_seconds(compiled: Path, tmp_path: Path) -> None:
    speed = {"core": "cortex-m7", "clock_hz": 216_000_000, "instructions": 41_228_425}

    def told(**entries: object) -> tuple[str | None, str]:
        shutil.rmtree(tmp_path / "changed", ignore_errors=True)
        report = changed(compiled, tmp_path, lambda m: m["speed"].update(speed | entries))
        return seconds_text(report.speed), seconds_basis(report.speed, report.target)

    known = {"cycles_per_instruction": [0.8, 1.7], "seconds": [0.1527, 0.3245]}
    assert told(**known) == (
        "150 to 320 ms",
        "An estimate: 41,228,425 instructions of 0.8 to 1.7 cycles each, at 216 MHz. The cycles "
        "are an assumption for a cortex-m7; wait states of flash, cache misses and interrupts are "
        "not in it.",
    )
    assert told(**known | {"seconds": [12.34, 12.34]})[0] == "12 s"
    found, why = told(clock_hz=None, seconds=None)
    assert found is None and "names no clock ('clock_hz' in its target file)" in why
    found, why = told(core="host", clock_hz=None, seconds=None)
    assert found is None and "whose clock nobody fixed" in why
    found, why = told(core="cortex-m85", cycles_per_instruction=None, seconds=None)
    assert (found, why) == (None, "No estimate: the cycles of a cortex-m85 are not known.")


@pytest.mark.parametrize("most", [1, 7, 1000, 4096, 169_736, 10**7])
def test_ticks(most: int) -> None:
    for ticks in (byte_ticks(most), step_ticks(most)):
        assert 1 <= len(ticks) <= 13
        assert all(0 <= tick.at <= 100 for tick in ticks)
        assert len({tick.text for tick in ticks}) == len(ticks)


def test_figures() -> None:
    assert [count_text(n) for n in (0, 7, 999, 12_345, 41_228_425, 216e6)] == [
        "0",
        "7",
        "999",
        "12.3 k",
        "41.2 M",
        "216 M",
    ]
    assert [percent_text(a, b) for a, b in ((0, 9), (1, 900), (1, 3), (3, 3), (1, 0))] == [
        "0%",
        "<1%",
        "33%",
        "100%",
        "-",
    ]
