"""What a search writes: the scheme, the page, CSV and JSON, of made findings."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tinytrain.compiler.budget import Budget, MemoryUse
from tinytrain.compiler.costs import Cost
from tinytrain.scheme.scheme import Scheme, Share, load_scheme
from tinytrain.scheme.text import scheme_text
from tinytrain.searches.front import (
    BESIDE,
    PRESET,
    Tried,
    best,
    best_first,
    gap_text,
    pareto,
)
from tinytrain.searches.measured import Marks, TrialLength
from tinytrain.searches.outputs import (
    COLUMNS,
    Asked,
    Findings,
    csv_file,
    json_file,
    names_of,
    scheme_file,
)
from tinytrain.searches.page import search_page
from tinytrain.searches.prices import Takes

LAYERS = ("conv_0", "conv_1", "conv_2", "head")
SHORT, LONG = TrialLength("short", 300, (0, 1), 64), TrialLength("long", 2000, (0, 1, 2), 256)


def tried(name: str, origin: str, ram: int, loss: float, long: float | None = None) -> Tried:
    """A scheme; `long` is its accuracy after long trainings."""
    weights = {"conv_1": Share(0.5)} if origin == "greedy" else {}
    marks = None if long is None else Marks((loss / 2,) * 3, (long, long + 0.01, long - 0.01))
    return Tried(
        Scheme(name, LAYERS[:2], weights),
        origin,
        Takes(ram, 10 * ram, ram // 2),
        Marks((loss, loss), (0.5 - loss / 10, 0.5)),
        marks,
    )


def made() -> tuple[Asked, Findings]:
    found = tried("grown", "greedy", 20_000, 1.1, 0.78)
    found = Tried(
        found.scheme,
        found.origin,
        found.takes,
        found.short,
        found.long,
        Marks((0.7, 0.7, 0.7), (0.75, 0.76, 0.77)),
        Cost(21_000, 90_000, 200_000, 9_000, 8_000),
    )
    rows = (
        tried("head", PRESET, 6_000, 2.0),
        tried("<bias> & co", PRESET, 9_000, math.inf),
        tried("single", "contribution", 12_000, 1.6, 0.6),
        found,
        tried("theirs.toml", BESIDE, 30_000, 1.2, 0.77),
    )
    memory = MemoryUse({"arena": 12_000, "stack": 9_100, "total": 21_100}, {"total": 90_500}, "")
    asked = Asked(
        "tinytrain search --data learn.npz -o s.toml net.onnx --ram 24K",
        "net",
        ("net.onnx", "ab" * 32),
        ("learn.npz", "cd" * 32),
        ("test.npz", "ef" * 32),
        "mps2-an500",
        Budget(24_576, 1 << 20),
        300,
        100,
        200,
        SHORT,
        LONG,
    )
    worth = {"conv_0": 0.1, "conv_1": 3.0, "conv_2": 0.0, "head": 5.0}
    return asked, Findings(
        rows, found, memory, worth, {"conv_0": -math.inf, "conv_1": 0.4, "conv_2": -0.1}, 21
    )


def test_the_scheme_says_where_it_comes_from_and_is_read_back(tmp_path: Path) -> None:
    asked, found = made()
    path = tmp_path / "grown"
    path.write_bytes(scheme_file(asked, found))
    assert load_scheme(str(path), LAYERS) == found.chosen.scheme
    text = path.read_text()
    for fact in (
        asked.command,
        "ab" * 32,
        "cd" * 32,
        "judges  78.0 ± 1.0 % right after 2000 steps, 3 seeds",
        "eval    76.0 ± 1.0 % right after 2000 steps, 3 seeds",
        "RAM     21,100 bytes of 24,576 on mps2-an500, stack included",
        "step    200,000 instructions, estimated",
        "chosen out of 5 schemes by 21 trainings",
    ):
        assert fact in text, fact
    assert not re.search(r"\b20\d\d-\d\d-\d\d\b", text)


def test_csv_and_json_have_every_scheme() -> None:
    asked, found = made()
    rows = list(csv.DictReader(io.StringIO(csv_file(found).decode())))
    assert [row["scheme"] for row in rows] == [one.name for one in found.tried]
    assert tuple(rows[0]) == COLUMNS
    assert [row["chosen"] for row in rows].count("True") == 1
    assert rows[1]["short_loss"] == ""  # it was not finite
    described = json.loads(json_file(asked, found))
    assert described["trainings"] == 21 and described["chosen"] == "grown"
    assert [row["scheme"] for row in described["schemes"]] == [row["scheme"] for row in rows]
    assert described["schemes"][3]["toml"] == scheme_text(found.chosen.scheme)
    assert described["layers"][1] == {"name": "conv_1", "fisher": 3.0, "contribution": 0.4}
    assert json_file(asked, found) == json_file(asked, found)


def test_the_front_of_the_table_is_that_of_the_page() -> None:
    _, found = made()
    rows = list(csv.DictReader(io.StringIO(csv_file(found).decode())))
    for what in ("ram", "instructions"):
        front = [row["scheme"] for row in rows if row[f"{what}_front"] == "True"]
        # Of those that trained longer: "theirs.toml" takes more than "grown", and is worse.
        assert front == [one.name for one in found.front(what)] == ["single", "grown"]
    alone = replace(found, tried=tuple(replace(one, long=None) for one in found.tried))
    assert [one.name for one in alone.front("ram")] == ["head", "single", "grown"]


def test_how_far_a_set_may_be_from_the_best() -> None:
    asked, found = made()
    sets = [replace(found.chosen, gap=gap) for gap in (None, 0.0, 0.0321)]
    texts = [gap_text(one) for one in sets]
    assert texts == [
        "no bound is known: it was not found by a knapsack",
        "no set that fits has more of the value that it was found by",
        "at most 3.2% below the best set that fits, by the value that it was found by",
    ]
    for one, text in zip(sets, texts, strict=True):
        of_one = replace(found, chosen=one, tried=(one,))
        assert text.encode() in scheme_file(asked, of_one)
        assert text.encode() in search_page(asked, of_one)
        assert json.loads(json_file(asked, of_one))["schemes"][0]["gap"] == one.gap


class Page(HTMLParser):
    """Tags of a page; each is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.circles: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            assert key not in ("src", "href") or value == "data:,"
        if tag == "circle":
            self.circles.append(dict(attrs)["data-name"] or "")
        if tag not in {"meta", "link", "input", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_shows_every_scheme_and_stands_alone() -> None:
    asked, found = made()
    text = search_page(asked, found).decode()
    page = Page(text)
    # Two pictures; what trained longer has a dot for each.
    assert len(page.circles) == 2 * (5 + 3)
    assert set(page.circles) == {one.name for one in found.tried}
    assert not re.search(r"https?:|@import|url\(", text)
    assert "&lt;bias&gt; &amp; co" in text and "<bias>" not in text
    assert "76.0 %" in text and "+0.4000" in text
    assert text == search_page(asked, found).decode()


def test_a_page_of_one_scheme_without_a_report() -> None:
    asked, found = made()
    one = found.tried[0]
    alone = Findings((one,), one, found.memory, {"head": 0.0}, {}, 2, ("a note",))
    bare = Asked(**{**vars(asked), "eval": None, "evaluated": 0})
    text = search_page(bare, alone).decode()
    Page(text)
    assert "a note" in text and "never seen" not in text.lower()


def test_the_front_has_what_no_other_beats() -> None:
    points = [(3, 1.0), (1, 0.5), (2, 0.5), (4, 0.9), (3, 1.2), (1, 0.5), (9, 2.0)]
    front = [points[k] for k in pareto(points)]
    assert front == [(1, 0.5), (3, 1.2), (9, 2.0)]
    for point in points:
        beaten = [o for o in points if o[0] <= point[0] and o[1] >= point[1] and o != point]
        assert (point in front) == (not beaten)
    assert pareto([]) == []


def test_the_most_accurate_wins_and_of_equals_the_smaller_loss() -> None:
    rows = [tried("a", "greedy", 9, 1.0, 0.7), tried("b", "greedy", 9, 0.8, 0.7)]
    assert best(rows).name == "b"
    assert best([*rows, tried("c", "greedy", 99, 3.0, 0.71)]).name == "c"
    _, found = made()
    names = [one.name for one in best_first(found.tried, 8)]
    assert names[0] == "grown" and set(names) == {one.name for one in found.tried}


@pytest.mark.parametrize("name", ["scheme.toml", "a/b.c.toml"])
def test_files_beside_a_scheme_have_its_name(name: str) -> None:
    stem = name.removesuffix(".toml")
    assert [str(p) for p in names_of(Path(name))] == [f"{stem}.html", f"{stem}.csv", f"{stem}.json"]
