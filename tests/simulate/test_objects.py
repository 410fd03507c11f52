"""Objects that builds lend to each other: the same program, and nothing stale."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.graphs import GRAPHS
from tinytrain.compiler.folder import write_folder
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.passes.base import Runner
from tinytrain.target import load_target
from tinytrain.toolchain.build import build
from tinytrain.toolchain.footprint import call_graph
from tinytrain.toolchain.objects import FOLDER, contents

TARGET = load_target("mps2-an500")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("objects") / "model"
    compiled = build_step(GRAPHS["signal"](), Options(learning_rate=0.01), Runner(), isa=TARGET.isa)
    write_folder(compiled, folder, target=TARGET, target_name=TARGET.name)
    return folder


@pytest.fixture(scope="module")
def filled(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of objects that one build has filled, and the program that it built."""
    place = tmp_path_factory.mktemp("filled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER, str(place / "objects"))
        return place / "objects", build(copied(model, place / "model"), TARGET)


@pytest.fixture
def objects(filled: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of those objects, which builds borrow from."""
    monkeypatch.setenv(FOLDER, str(tmp_path / "objects"))
    return shutil.copytree(filled[0], tmp_path / "objects")


@pytest.fixture(scope="module")
def alone(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of a build that borrows nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(FOLDER, raising=False)
        return build(copied(model, tmp_path_factory.mktemp("alone") / "model"), TARGET)


def copied(model: Path, place: Path) -> Path:
    shutil.copytree(model, place, ignore=shutil.ignore_patterns("build"))
    return place


def names(folder: Path, pattern: str = "*") -> set[str]:
    return {file.name for file in folder.glob(pattern)}


def test_a_program_is_the_same(
    model: Path, tmp_path: Path, objects: Path, alone: Path, filled: tuple[Path, Path]
) -> None:
    kept = names(objects)
    assert {Path(name).suffix for name in kept} == {".o", ".ci", ".d"}
    lent = build(copied(model, tmp_path / "lent"), TARGET)
    assert names(objects) == kept
    assert len(names(objects, "*.o")) == len(list(lent.parent.rglob("*.o")))
    wanted = call_graph(alone)
    assert wanted.frames and wanted.calls
    for program in (filled[1], lent):
        assert program.read_bytes() == alone.read_bytes()
        found = call_graph(program)
        assert (found.frames, found.calls) == (wanted.frames, wanted.calls)


def test_what_is_built_to_be_measured_is_lent_to_what_is_run(
    model: Path, tmp_path: Path, objects: Path, alone: Path
) -> None:
    kept = names(objects)
    lent = build(copied(model, tmp_path / "lent"), TARGET, variant="run")
    assert names(objects) == kept
    assert lent.read_bytes() == alone.read_bytes()
    # As the compiler would have written it here: files are named by the place of their build.
    files = {title.rpartition(":")[0] for title in call_graph(lent).frames}
    assert any(file.startswith("build/run/port/") for file in files)
    assert not any(TARGET.name in file or "@" in file for file in files)


def test_what_is_lent_is_used_and_nothing_stale(
    model: Path, tmp_path: Path, objects: Path, alone: Path
) -> None:
    # What reaches this header can no longer be linked, so that every use of it is seen.
    name = "tt_kernels.h"
    for file in objects.glob("*.d"):
        if name in file.read_text():
            file.with_suffix(".o").write_bytes(b"no object")
    with pytest.raises(Exception, match="cannot build"):
        build(copied(model, tmp_path / "second"), TARGET)
    # Another source: the others are still lent.
    changed = copied(model, tmp_path / "source")
    edit(changed / "src" / "tt_state.c")
    with pytest.raises(Exception, match="cannot build"):
        build(changed, TARGET)
    # Another header, another flag: nothing of that is used.
    changed = copied(model, tmp_path / "header")
    edit(changed / "include" / name)
    assert build(changed, TARGET).read_bytes() == alone.read_bytes()
    assert build(copied(model, tmp_path / "flag"), TARGET, optimise="-O1").is_file()


def edit(file: Path) -> None:
    file.write_text(f"{file.read_text()}\n/* changed */\n")


def test_only_what_reaches_a_header_is_compiled_anew(
    model: Path, tmp_path: Path, objects: Path
) -> None:
    before = names(objects, "*.o")
    # An application's header, and the build's own place.
    changed = copied(model, tmp_path / "second")
    (changed / "include" / "own.h").write_text("/* the application's */\n")
    build(changed, TARGET, variant="another")
    assert names(objects, "*.o") == before
    # It is reached by way of another header.
    reached = changed / "src" / "tt_window.h"
    users = {file.stem for file in changed.glob("src/tt_*.c") if reaches(changed, file, reached)}
    assert users and len(users) < len(before)
    edit(reached)
    build(copied(changed, tmp_path / "third"), TARGET)
    assert len(names(objects, "*.o") - before) == len(users)


def test_a_header_that_a_macro_names_is_reached(tmp_path: Path) -> None:
    source, header = tmp_path / "own.c", tmp_path / "part.h"
    source.write_text('#define OWN "part.h"\n#include OWN\n', encoding="utf-8")
    found = []
    for size in (1, 2):
        header.write_text(f"static char own[{size}];\n", encoding="utf-8")
        found.append(contents([source], [])[source])
    assert None not in found and found[0] != found[1]


def reaches(folder: Path, source: Path, header: Path) -> bool:
    """By the compiler's own account."""
    command = [*TARGET.compiler.split(), *TARGET.compile_flags, "-MM", "-Iinclude", "-Isrc"]
    listed = subprocess.run([*command, source], cwd=folder, capture_output=True, check=True)
    return header.name in listed.stdout.decode()


@pytest.mark.usefixtures("objects")
def test_make_knows_the_headers_of_what_was_lent(model: Path, tmp_path: Path) -> None:
    second = copied(model, tmp_path / "second")
    build(second, TARGET, variant="another")
    state = second / "build" / "another" / "src" / "tt_state.o"
    before = state.stat().st_mtime_ns
    build(second, TARGET, variant="another")
    assert state.stat().st_mtime_ns == before
    # One that nothing but the runtime reaches.
    with (second / "src" / "tt_window.h").open("a") as header:
        header.write("#error of a header\n")
    with pytest.raises(Exception, match="cannot build"):
        build(second, TARGET, variant="another")


def test_a_folder_that_cannot_be_written_is_no_reason_to_fail(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv(FOLDER, str(blocked / "objects"))
    assert build(copied(model, tmp_path / "model"), TARGET).is_file()
