"""The page in a real browser: what it shows, says, and answers to pointer and keys.

The page is put into frames of two widths, since no window of a desktop browser is as narrow as a
telephone; a script beside them looks into both and writes what it found.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.manifests import WAYS, change_manifest
from tests.support.surroundings import HANGS
from tinytrain import resources
from tinytrain.manifest import Manifest, read_manifest
from tinytrain.manifest.arena import KINDS
from tinytrain.reports.page import report_page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), "")
WIDTHS = (1280, 380)

pytestmark = pytest.mark.skipif(
    not (BROWSER or os.environ.get("CI")), reason="no browser: apt-get install chromium"
)

PROBE = """
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const shown = (element) => element && !element.hidden && element.getClientRects().length > 0;
const look = async (frame) => {
  const page = frame.contentDocument, view = frame.contentWindow, found = {};
  const bars = [...page.querySelectorAll(".bar")], tip = page.getElementById("tip");
  const box = (bar) => bar.getBoundingClientRect();
  found.bars = bars.length;
  found.flat = bars.filter((bar) => !(box(bar).width > 0 && box(bar).height > 0)).length;
  found.title = page.title;
  found.width = view.innerWidth;
  found.room = page.documentElement.clientWidth;
  found.content = page.documentElement.scrollWidth;
  found.over = [...page.querySelectorAll("body *")].filter((element) => {
    if (element.closest(".wide") && !element.matches(".wide")) return false;
    const right = element.getBoundingClientRect().right;
    return shown(element) && right > found.room + 0.5;
  }).map((element) => element.outerHTML.slice(0, 90));
  found.cut = [...page.querySelectorAll(".tile, .tile .big, h1, h2, .stack, td, th")].filter(
    (element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth
  ).map((element) => element.outerHTML.slice(0, 90));

  found.quiet = !shown(tip);
  const area = (bar) => box(bar).width * box(bar).height;
  const wide = bars.reduce((a, b) => (area(b) > area(a) ? b : a));
  const middle = [box(wide).left + box(wide).width / 2, box(wide).top + box(wide).height / 2];
  page.documentElement.scrollTop = 0;
  found.hit = page.elementFromPoint(...middle)?.dataset.name ?? null;
  wide.dispatchEvent(new view.PointerEvent("pointerenter"));
  found.hovered = [wide.dataset.name, shown(tip) && tip.textContent];
  const around = tip.getBoundingClientRect();
  found.tipInside = around.left >= 0 && around.right <= view.innerWidth;
  wide.dispatchEvent(new view.PointerEvent("pointerleave"));
  found.left = !shown(tip);

  found.stops = bars.filter((bar) => bar.tabIndex === 0).length;
  const press = (key) => page.activeElement.dispatchEvent(
    new view.KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  view.focus();
  bars[0].focus();
  found.keys = [page.activeElement.dataset.name];
  for (const key of ["ArrowRight", "ArrowRight", "ArrowLeft", "End", "Home"]) {
    press(key);
    found.keys.push(page.activeElement.dataset.name);
  }
  found.said = tip.textContent.split("\\n")[0];
  press("Escape");
  found.escaped = !shown(tip);

  const box_of = (kind) => page.getElementById("show-" + kind);
  const drawn = () => bars.filter((bar) => view.getComputedStyle(bar).display !== "none").length;
  box_of("scratch").click();
  found.withoutScratch = drawn();
  box_of("input").click();
  found.stopAfterFilter = bars.filter((bar) => bar.tabIndex === 0).map((bar) => bar.classList[1]);
  box_of("scratch").click();
  box_of("input").click();
  found.again = drawn();
  const find = page.getElementById("find");
  find.value = bars[0].dataset.name.toUpperCase();
  find.dispatchEvent(new view.Event("input"));
  const bright = bars.filter((bar) => !bar.classList.contains("dim"));
  found.bright = bright.map((bar) => bar.dataset.name);
  find.value = "";
  find.dispatchEvent(new view.Event("input"));

  for (const details of page.querySelectorAll("details")) details.open = true;
  await wait(50);
  found.opened = page.documentElement.scrollWidth;
  found.rows = page.querySelectorAll("details tbody tr").length;
  return found;
};
window.addEventListener("load", async () => {
  const found = [];
  for (const frame of document.querySelectorAll("iframe")) found.push(await look(frame));
  const result = document.createElement("script");
  result.type = "application/json";
  result.id = "found";
  result.textContent = JSON.stringify(found).replaceAll("<", "\\\\u003c");
  document.body.append(result);
});
"""


@dataclass(frozen=True)
class Seen:
    """What came back: a dictionary for each width, and what the browser's console said."""

    report: Manifest
    frames: dict[int, dict[str, Any]]
    console: list[str]


def browse(file: Path, *options: str) -> tuple[str, list[str]]:
    """The document after its scripts ran, and the lines on the console."""
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
               "--window-size=1280,900", "--virtual-time-budget=20000",
               f"--user-data-dir={file.parent / 'profile'}", *options, file.as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANGS, check=False)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert done.returncode == 0, done.stderr
    return done.stdout, console


@pytest.fixture(scope="module")
def seen(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """The page of a real model, with ways of saving memory."""
    assert BROWSER, "CI needs a browser: scripts/setup.sh installs chromium"
    place = tmp_path_factory.mktemp("browser")
    folder = shutil.copytree(real, place / "model")
    change_manifest(folder, lambda m: m["arena"].update(ways=WAYS))
    report = read_manifest(folder)
    frames = "".join(
        f'<iframe style="border:0;width:{width}px;height:5000px" '
        f'srcdoc="{html.escape(report_page(report).decode())}"></iframe>'
        for width in WIDTHS
    )
    file = place / "frames.html"
    file.write_text(f"<!DOCTYPE html><body>{frames}<script>{PROBE}</script>", encoding="utf-8")
    document, console = browse(file, "--dump-dom")
    found = re.search(r'<script type="application/json" id="found">(.*?)</script>', document)
    assert found, console
    return Seen(report, dict(zip(WIDTHS, json.loads(found[1]), strict=True)), console)


def test_the_console_is_silent(seen: Seen, tmp_path: Path) -> None:
    assert seen.console == []
    broken = tmp_path / "broken.html"
    broken.write_text("<script>nothing.there()</script>")
    assert any("nothing is not defined" in line for line in browse(broken, "--dump-dom")[1])


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_page(width: int, seen: Seen) -> None:
    frame = seen.frames[width]
    assert frame["width"] == width
    assert frame["over"] == frame["cut"] == []
    # Less than the window where it scrolls.
    assert width - 20 < frame["room"] <= width
    assert frame["content"] == frame["room"] >= frame["opened"]


@pytest.mark.parametrize("width", WIDTHS)
def test_every_bar_is_drawn(width: int, seen: Seen) -> None:
    frame, report = seen.frames[width], seen.report
    assert report.name in frame["title"]
    assert frame["bars"] == len(report.arena.storages)
    assert frame["flat"] == 0
    assert frame["rows"] == len(report.arena.storages) + len(report.arena.steps)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_bar_says_its_name(width: int, seen: Seen) -> None:
    frame = seen.frames[width]
    name, said = frame["hovered"]
    storage = next(s for s in seen.report.arena.storages if s.name == name and s.kind != "scratch")
    assert frame["quiet"] and frame["left"] and frame["tipInside"]
    assert said.split("\n")[0] == name
    assert (
        f"{storage.nbytes:,} bytes" in said and seen.report.arena.steps[storage.first].name in said
    )
    # What lies on top of the bar, lines and labels, lets the pointer through.
    assert frame["hit"] == name


@pytest.mark.parametrize("width", WIDTHS)
def test_keys_go_from_bar_to_bar(width: int, seen: Seen) -> None:
    frame = seen.frames[width]
    ordered = sorted(seen.report.arena.storages, key=lambda s: (s.first, s.offset, s.last, s.name))
    names = [storage.name for storage in ordered]
    assert frame["stops"] == 1
    assert frame["keys"] == [names[k] for k in (0, 1, 2, 1, -1, 0)]
    assert frame["said"] == names[0] and frame["escaped"]


@pytest.mark.parametrize("width", WIDTHS)
def test_filters(width: int, seen: Seen) -> None:
    frame, storages = seen.frames[width], seen.report.arena.storages
    assert frame["withoutScratch"] == sum(s.kind != "scratch" for s in storages)
    assert len(frame["stopAfterFilter"]) == 1
    assert frame["stopAfterFilter"][0] not in ("scratch", "input")
    assert frame["again"] == len(storages)
    first = frame["keys"][0].lower()
    wanted = [s.name for s in storages if first in f"{s.name}\n{s.layer}".lower()]
    assert sorted(frame["bright"]) == sorted(wanted)


def colour_of(name: str, *, dark: bool) -> tuple[int, ...]:
    """The style sheet names each colour for light, then for dark."""
    css = (resources.folder("codegen") / "report.css").read_text(encoding="utf-8")
    return tuple(bytes.fromhex(re.findall(rf"--{name}: #(\w{{6}});", css)[dark]))


def test_a_picture_of_it_has_the_colours_of_every_kind(seen: Seen, tmp_path: Path) -> None:
    """In light and in dark, and without its script."""
    file = tmp_path / "page.html"
    file.write_bytes(report_page(seen.report).split(b"<script>")[0])
    for scheme in (0, 1):  # dark, light
        shot = tmp_path / f"{scheme}.png"
        chosen = f"--blink-settings=preferredColorScheme={scheme}"
        browse(file, f"--screenshot={shot}", chosen, "--hide-scrollbars")
        with Image.open(shot) as image:
            colours = image.convert("RGB").getcolors(1 << 20) or []
        count = {colour: number for number, colour in colours}
        assert count.get(colour_of("paper", dark=not scheme), 0) > 10_000
        for kind in KINDS:
            assert count.get(colour_of(kind, dark=not scheme), 0) > 50, kind
