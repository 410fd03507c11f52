"""What a report reads from a manifest, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.manifests import WAYS, Change, change_manifest
from tests.support.refusals import Refuse
from tinytrain.cli import main
from tinytrain.manifest import read_manifest
from tinytrain.reports.page import by_op

USAGE_ERROR, MODEL_ERROR = 2, 3


def test_a_report_holds_what_the_manifest_says(real: Path) -> None:
    report = read_manifest(real)
    arena, manifest = report.arena, json.loads((real / "manifest.json").read_text())
    assert arena.nbytes == manifest["arena"]["bytes"] == manifest["ram"]["arena"]
    assert arena.gap == 0
    assert arena.steps[arena.peak_step].name == manifest["arena"]["peak"]
    aligned = sum(-(-s.nbytes // arena.alignment) * arena.alignment for s in arena.at_peak())
    assert aligned == arena.lower_bound == arena.steps[arena.peak_step].live_bytes
    assert sum(layer.trained_bytes for layer in report.layers) == report.ram["trained parameters"]
    assert sum(layer.constant_bytes for layer in report.layers) <= report.flash["constants"]
    kernels = sum(kernel["instructions"] for kernel in manifest["kernels"])
    assert sum(row[3] for row in by_op(arena.steps)) == report.speed.instructions == kernels
    assert {way.name for way in arena.optimizations} <= {"in-place reuse"}
    assert report.speed.seconds is not None


def test_the_page_lies_where_the_folder_can_still_be_replaced(
    compiled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(compiled, tmp_path / "out")
    assert main(["report", str(folder)]) == 0
    told = capsys.readouterr().out
    page = folder / "build" / "report.html"
    assert f"page: {page}" in told and "at its lower bound" in told
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    model = compiled.parent / "small.onnx"
    assert main(["compile", str(model), "-o", str(folder), "--json"]) == 0
    assert not page.exists()


def test_a_report_for_scripts(
    compiled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    folder = shutil.copytree(compiled, tmp_path / "out")
    change_manifest(folder, lambda m: m["arena"].update(ways=WAYS))
    assert main(["report", str(folder), "-o", str(page), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["page"] == str(page) and page.is_file()
    assert found["arena"]["gap"] == 0
    storages = json.loads((folder / "manifest.json").read_text())["arena"]["storages"]
    assert all(storage in storages for storage in found["arena"]["at_peak"])
    assert found["ways"] == WAYS
    assert not (folder / "build").exists()


def test_tables_in_a_narrow_terminal(
    compiled: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = shutil.copytree(compiled, tmp_path / "out")
    change_manifest(folder, lambda m: m["arena"].update(ways=WAYS))
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["report", str(folder)]) == 0
    *lines, _ = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60
    assert any("buffering" in line for line in lines)


# --- what cannot be reported on -------------------------------------------------------------------

MANIFESTS: dict[str, tuple[Change, str]] = {
    "before there were storages": (
        lambda m: m["arena"].pop("storages"),
        "the manifest has no 'arena.storages'; it was written by tinytrain ",
    ),
    "before there were layers": (
        lambda m: (m.pop("layers"), m.update(tinytrain="0.0.1")),
        "the manifest has no 'layers'; it was written by tinytrain 0.0.1",
    ),
    "no version either": (
        lambda m: (m.pop("speed"), m.pop("tinytrain")),
        "the manifest has no 'tinytrain'; it was written by something else",
    ),
    "before there were ways": (
        lambda m: m["arena"].pop("ways"),
        "the manifest has no 'arena.ways'; it was written by tinytrain ",
    ),
    "of a later version": (
        lambda m: (m["arena"].update(colour="red"), m.update(tinytrain="9.0")),
        "the manifest has an unknown entry 'arena.colour'; it was written by tinytrain 9.0",
    ),
    "another format": (lambda m: m.update(format=1), "the manifest has format 1, but this version"),
    "outside the arena": (
        lambda m: m["arena"]["storages"][0].update(offset=10**9),
        "the manifest has a wrong entry: 'arena.storages[0]' lies outside the arena of",
    ),
    "a kind of its own": (
        lambda m: m["arena"]["storages"][1].update(kind='"><script>'),
        "the manifest has a wrong entry: 'arena.storages[1].kind' is '\"><script>', not one of",
    ),
    "before it begins": (
        lambda m: m["arena"]["storages"][-1].update(last=-1),
        "the manifest has a wrong entry: 'arena.storages[",
    ),
    "no steps": (
        lambda m: m["arena"].update(steps=[]),
        "the manifest has a wrong entry: 'arena.steps' are not a forward pass, a loss and a back",
    ),
    "backward first": (
        lambda m: m["arena"]["steps"].reverse(),
        "the manifest has a wrong entry: 'arena.steps' are not a forward pass, a loss and a back",
    ),
    "a sum that is none": (
        lambda m: m["ram"].update(arena=0),
        "the manifest has a wrong entry: 'ram.total' is not the sum of its parts",
    ),
    "text for a number": (
        lambda m: m["arena"].update(bytes="many"),
        "the manifest has a wrong entry: 'arena.bytes' is no whole number",
    ),
    "number for a list": (
        lambda m: m.update(layers=3),
        "the manifest has a wrong entry: 'layers' is no list",
    ),
    "number for an object": (
        lambda m: m.update(arena=3),
        "the manifest has a wrong entry: 'arena' is no object",
    ),
    "endless": (
        lambda m: m["speed"].update(seconds=[0.1, float("inf")]),
        "the manifest has a wrong entry: 'speed.seconds[1]' is no number",
    ),
    "half a character": (
        lambda m: m["arena"]["storages"][0].update(name="\ud800"),
        "the manifest has a wrong entry: 'arena.storages[0].name' is no text",
    ),
}


@pytest.mark.parametrize("name", sorted(MANIFESTS))
def test_manifests_that_say_too_little_or_wrong(
    name: str,
    compiled: Path,
    tmp_path: Path,
    refuse: Refuse,
) -> None:
    change, sentence = MANIFESTS[name]
    folder = shutil.copytree(compiled, tmp_path / "out")
    change_manifest(folder, change)
    told = refuse(MODEL_ERROR, "report", folder, "-o", tmp_path / "page.html")
    assert told.startswith(sentence)
    assert f"  at: {folder / 'manifest.json'}" in told
    assert "write it anew" in told


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff", "[" * 100_000])
def test_damaged_manifests(text: str, tmp_path: Path, refuse: Refuse) -> None:
    (tmp_path / "manifest.json").write_text(text, encoding="latin-1")
    assert refuse(MODEL_ERROR, "report", tmp_path).startswith("the manifest ")


def test_no_folder_and_no_place(compiled: Path, tmp_path: Path, refuse: Refuse) -> None:
    assert refuse(USAGE_ERROR, "report", tmp_path / "none").startswith("there is no folder")
    assert "holds no manifest.json" in refuse(USAGE_ERROR, "report", tmp_path)
    told = refuse(USAGE_ERROR, "report", compiled, "-o", tmp_path / "none" / "page.html")
    assert "its folder is missing or not writable" in told
    assert "it is a folder" in refuse(USAGE_ERROR, "report", compiled, "-o", tmp_path)
