"""What `simulate` accepts as a folder that was compiled."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tinytrain.errors import ModelError, UsageError
from tinytrain.simulation.folder import open_folder

MakeFolder = Callable[..., Path]


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_whole_folder(make_folder: MakeFolder) -> None:
    folder = open_folder(make_folder(classes=20))
    assert folder.spec.size == 40
    assert folder.spec.classes == folder.spec.output_size == 20
    assert (folder.manifest.ram["total"], folder.manifest.flash["total"]) == (5000, 9000)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        open_folder(tmp_path / "none")
    with pytest.raises(UsageError, match=r"holds no manifest\.json"):
        open_folder(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '{"format": 1}', '{"format": 2}', "\xff", "[" * 100_000]
)
def test_manifest_of_another_kind(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text, encoding="latin-1")
    with pytest.raises(ModelError, match="the manifest"):
        open_folder(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.pop("input"),
        lambda m: m.pop("files"),
        lambda m: m.pop("ram"),
        lambda m: m["input"].update(shape=[1, 2, 3]),
        lambda m: m["input"].update(source_layout="NQ"),
        lambda m: m["output"].update(classes="many"),
        lambda m: m.update(files=[]),
        lambda m: m.update(preprocess={"resize": [3, 3], "mean": [0], "std": [1]}),
    ],
)
def test_manifest_with_a_wrong_entry(
    make_folder: MakeFolder, change: Callable[[dict[str, Any]], object]
) -> None:
    folder = make_folder(classes=20)
    edit(folder, change)
    with pytest.raises(ModelError) as caught:
        open_folder(folder)
    assert caught.value.where is not None
    assert str(caught.value.where).endswith("manifest.json")


def test_changed_file(make_folder: MakeFolder) -> None:
    folder = make_folder(classes=20)
    source = folder / "src" / "fake.c"
    source.write_text(source.read_text() + "\n")
    with pytest.raises(ModelError, match=r"was changed after it was compiled(.|\n)*--force"):
        open_folder(folder)
    source.unlink()
    with pytest.raises(ModelError, match="a file that the manifest lists is missing"):
        open_folder(folder)


def test_added_source(make_folder: MakeFolder) -> None:
    folder = make_folder(classes=20)
    (folder / "src" / "more.c").write_text("int more;\n")
    with pytest.raises(ModelError, match="a source file that the manifest does not list"):
        open_folder(folder)


@pytest.mark.parametrize("name", ["../outside.c", "/outside.c"])
def test_manifest_that_points_outside(make_folder: MakeFolder, name: str) -> None:
    folder = make_folder(classes=20)
    edit(folder, lambda m: m["files"].update({name: "0" * 64}))
    with pytest.raises(ModelError, match="outside its folder"):
        open_folder(folder)
