"""Objects that builds lend to each other: the same program, and nothing stale."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.graphs import GRAPHS
from tinytrain.compile import write_folder
from tinytrain.options import Options
from tinytrain.passes.base import Runner
from tinytrain.pipeline import build_step
from tinytrain.simulate.objects import FOLDER
from tinytrain.simulate.toolchain import build, call_graph
from tinytrain.target import load_target

TARGET = load_target("mps2-an500")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("objects") / "model"
    compiled = build_step(GRAPHS["signal"](), Options(rate=0.01), Runner(), isa=TARGET.isa)
    write_folder(compiled, folder, target=TARGET, target_name=TARGET.name)
    return folder


def copied(model: Path, place: Path) -> Path:
    shutil.copytree(model, place, ignore=shutil.ignore_patterns("build"))
    return place


def test_a_program_is_the_same(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(FOLDER, raising=False)
    alone = build(copied(model, tmp_path / "alone"), TARGET)
    objects = tmp_path / "objects"
    monkeypatch.setenv(FOLDER, str(objects))
    first = build(copied(model, tmp_path / "first"), TARGET)
    kept = {file.name for file in objects.iterdir()}
    assert {Path(name).suffix for name in kept} == {".o", ".ci", ".d"}
    second = build(copied(model, tmp_path / "second"), TARGET)
    assert {file.name for file in objects.iterdir()} == kept
    assert alone.read_bytes() == first.read_bytes() == second.read_bytes()
    graphs = [call_graph(program) for program in (alone, first, second)]
    assert graphs[0].frames and graphs[0].calls
    for graph in graphs[1:]:
        assert (graph.frames, graph.calls) == (graphs[0].frames, graphs[0].calls)


def test_what_is_lent_is_used_and_nothing_stale(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = tmp_path / "objects"
    monkeypatch.setenv(FOLDER, str(objects))
    plain = build(copied(model, tmp_path / "first"), TARGET)
    for file in objects.glob("*.o"):
        file.write_bytes(b"no object")
    with pytest.raises(Exception, match="cannot build"):
        build(copied(model, tmp_path / "second"), TARGET)
    # Another source, another header, another flag: all of it is compiled.
    for name in ("src/tt_state.c", "include/tt_kernels.h"):
        changed = copied(model, tmp_path / Path(name).name)
        text = (changed / name).read_text()
        (changed / name).write_text(f"{text}\n/* changed */\n")
        if name.endswith(".h"):
            assert build(changed, TARGET).read_bytes() == plain.read_bytes()
        else:
            with pytest.raises(Exception, match="cannot build"):
                build(changed, TARGET)
    assert build(copied(model, tmp_path / "flag"), TARGET, optimise="-O1").is_file()


def test_a_folder_that_cannot_be_written_is_no_reason_to_fail(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv(FOLDER, str(blocked / "objects"))
    assert build(copied(model, tmp_path / "model"), TARGET).is_file()
