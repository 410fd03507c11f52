"""`tinytrain package`: an archive for each way, of one model and of several."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import tarfile
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

import tinytrain
from tests.support.host_programs import PROGRAMS, STRICT, Compile, Program, link
from tests.support.objects import compiled, run
from tests.support.paths import ROOT
from tests.support.refusals import Refuse
from tinytrain.cli import main
from tinytrain.packages.merge import PackagedFolder, merged
from tinytrain.packages.ways import WAYS, PackagingWay

TURNS = "aabbbaab"


def contents(archive: Path) -> dict[str, bytes]:
    """The files of an archive by their path."""
    data = archive.read_bytes()
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            return {name: opened.read(name) for name in opened.namelist()}
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        files = [(entry.name, opened.extractfile(entry)) for entry in opened]
        return {name: file.read() for name, file in files if file is not None}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_several_models_with_one_runtime(
    way: PackagingWay, two: list[Path], tmp_path: Path
) -> None:
    """What is in the archive, compiled without a build system, is what the folders are."""
    name = way.name
    made = tinytrain.package(two, as_=name, output=tmp_path)
    assert made.models == ("first", "second") and made.path.parent == tmp_path
    files = contents(made.path)
    assert (len(files), sum(map(len, files.values()))) == (made.files, made.unpacked)
    assert made.nbytes == made.path.stat().st_size
    place = tmp_path / "unpacked"
    for path, data in files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(data)
    root = place / "first_second" if way.rooted else place
    assert {path.name for path in root.glob("src/tt_*.c")} == {
        path.name for folder in two for path in folder.glob("src/tt_*.c")
    }
    assert not (root / "port").exists() and not (root / "origin").exists()
    held = compiled(
        [PROGRAMS / "two_models.c", *sorted((root / "src").glob("*.c"))],
        [PROGRAMS, root / "include", root / "src"], "gcc", *STRICT, "-O1",
    )  # fmt: skip
    run("gcc", *held, "-o", tmp_path / "program")
    wanted = link("two_models.c", two, tmp_path, flags=["-O1"]).run(TURNS)
    assert Program(tmp_path / "program").run(TURNS) == wanted


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_same_bytes_and_one_model(way: PackagingWay, two: list[Path], tmp_path: Path) -> None:
    name, suffix = way.name, way.suffix
    made = [tinytrain.package(two[0], as_=name, output=tmp_path / f"{i}{suffix}") for i in range(2)]
    assert made[0].path.read_bytes() == made[1].path.read_bytes()
    files = contents(made[0].path)
    prefix = "first/" if way.rooted else ""
    for path, data in files.items():
        assert path.startswith(prefix)
        of_folder = two[0] / path.removeprefix(prefix)
        # What is written for the package alone: its page, CMake without a program, the pack's list.
        if of_folder.is_file() and of_folder.name not in ("README.md", "CMakeLists.txt"):
            assert data == of_folder.read_bytes(), path


def test_every_way_is_on_the_page() -> None:
    page = (ROOT / "docs" / "packages.md").read_text(encoding="utf-8")
    for way in WAYS:
        assert f"| `{way.name}` |" in page, way.name


def test_command(two: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["package", *map(str, two), "--as", "arduino", "-o", str(tmp_path)]
    assert main(words) == 0
    told = capsys.readouterr().out
    (archive,) = tmp_path.iterdir()
    assert f"package: {archive}" in told and "first, second" in told
    assert main([*words, "--json"]) == 0
    held = json.loads(capsys.readouterr().out)
    assert held["path"] == str(archive) and held["bytes"] == archive.stat().st_size
    assert set(held) == {"path", "as", "models", "files", "bytes", "unpacked_bytes"}


def other_release(folder: Path, place: Path) -> Path:
    """A folder as another release would have written it: whole, with another runtime."""
    shutil.copytree(folder, place)
    source = place / "src" / "tt_state.c"
    changed = source.read_bytes() + b"\n"
    source.write_bytes(changed)
    manifest = json.loads((place / "manifest.json").read_text())
    manifest["files"]["src/tt_state.c"] = hashlib.sha256(changed).hexdigest()
    (place / "manifest.json").write_text(json.dumps(manifest))
    return place


def test_what_does_not_go_together(
    two: list[Path], generated: Compile, refuse: Refuse, tmp_path: Path
) -> None:
    first, second = two
    out = tmp_path / "out.zip"
    old = other_release(second, tmp_path / "old")
    told = refuse(2, "package", first, old, "--as", "arduino", "-o", out)
    assert "were written by two releases of tinytrain: they differ in a file of the runtime" in told
    assert "at: src/tt_state.c" in told and "help: compile both with one release" in told
    told = refuse(2, "package", first, first, "--as", "arduino", "-o", out)
    assert "both hold a model called 'first'" in told and "another --name" in told


def test_what_makes_no_sense(two: list[Path], refuse: Refuse, tmp_path: Path) -> None:
    first = two[0]
    told = refuse(2, "package", first, "--as", "keil", "-o", tmp_path / "x.pack")
    assert told.startswith("--as must be arduino, platformio, zephyr, esp-idf, cmsis-pack or cmake")
    told = refuse(2, "package", first, "--as", "arduino", "-o", tmp_path / "x.tar")
    assert told.startswith("the archive of 'arduino' ends in .zip, got '")
    assert "or a folder for first-" in told
    refuse(2, "package", tmp_path / "no", "--as", "cmake", "-o", tmp_path)
    told = refuse(2, "package", first, "--as", "arduino", "-o", tmp_path / "no" / "x.zip")
    assert "cannot be written: its folder is missing or not writable" in told
    changed = tmp_path / "changed"
    shutil.copytree(first, changed)
    (changed / "src" / "first.h").write_text("/* mine */\n")
    refuse(3, "package", changed, "--as", "arduino", "-o", tmp_path)
    with pytest.raises(tinytrain.UsageError, match="no folder is given"):
        tinytrain.package([], as_="cmake", output=tmp_path)


def test_many_models_have_a_short_name(two: list[Path]) -> None:
    folders = [PackagedFolder(two[0], f"a_model_of_name_{i}", {}) for i in range(4)]
    assert merged(folders[:2])[0].name == "a_model_of_name_0_a_model_of_name_1"
    assert merged(folders)[0].name == "a_model_of_name_0_and_3_more"


# ---- CMSIS-Pack: a schema of ours, written from the documented keys; PACK.xsd is not here ----

REQUIRED = ("vendor", "name", "description", "url", "releases")
ALLOWED = {
    "package": {*REQUIRED, "license", "keywords", "taxonomy", "conditions", "components"},
    "releases": {"release"},
    "keywords": {"keyword"},
    "taxonomy": {"description"},
    "conditions": {"condition"},
    "condition": {"description", "require", "accept", "deny"},
    "components": {"component"},
    "component": {"description", "files"},
    "files": {"file"},
}
CATEGORIES = ("doc", "header", "include", "source")


@pytest.mark.parametrize("count", [1, 2])
def test_the_pack_lists_what_it_holds(count: int, two: list[Path], tmp_path: Path) -> None:
    files = contents(tinytrain.package(two[:count], as_="cmsis-pack", output=tmp_path).path)
    (listing,) = [name for name in files if name.endswith(".pdsc")]
    root = ElementTree.fromstring(files[listing])
    assert [child.tag for child in root][:5] == list(REQUIRED)
    for element in root.iter():
        if element.tag in ALLOWED:
            assert {child.tag for child in element} <= ALLOWED[element.tag], element.tag
    assert listing == f"{root.findtext('vendor')}.{root.findtext('name')}.pdsc"
    assert re.fullmatch(r"\d+\.\d+\.\d+", root.find("releases/release").attrib["version"])  # type: ignore[union-attr]
    listed = [file.attrib for file in root.iter("file")]
    assert all(file["category"] in CATEGORIES for file in listed)
    names = [file["name"] for file in listed if file["category"] != "include"]
    assert sorted(names) == sorted(set(files) - {listing})
    folders = [file["name"] for file in listed if file["category"] == "include"]
    assert folders == ["include/", "src/"]
    known = {condition.attrib["id"] for condition in root.iter("condition")}
    components = list(root.iter("component"))
    assert len(components) == count + 1
    subs = {component.attrib["Csub"] for component in components}
    for component in components:
        assert component.attrib.get("condition", next(iter(known))) in known
    assert {one.attrib["Csub"] for one in root.iter("require")} <= subs
