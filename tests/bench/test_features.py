"""A feature costs nothing where it is off, and has a row in the bench and on its page."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.counting import TOOLS
from bench.feature_rows import BY_NAME, FEATURES, NO_ROW, PROGRAMS, every_row
from bench.features import CORES, NAME, PROGRAM, Bench, linked, symbols
from tests.support.fuzzing import declared
from tests.support.onnx_models import quantized_model
from tests.support.pages import hold_section
from tests.support.paths import ROOT
from tinytrain import resources
from tinytrain.compiler.compile import compile_model
from tinytrain.compiler.emission import emit_folder
from tinytrain.compiler.folder import Product
from tinytrain.compiler.options import OPTIONS
from tinytrain.emit.folder import FolderWriter
from tinytrain.kernel.sources import release
from tinytrain.target import load_target

CORE = "mps2-an500"
TEXT = PROGRAM.read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
WORDS = sorted({word for row in FEATURES for word in row.words})
GENERATED = sorted({word for row in FEATURES if row.options for word in row.words})

NOT_CALLED = {
    "anomaly_learn": "anomaly_watch by another way in",
    "anomaly_reset": "a few stores",
    "anomaly_score": "a part of anomaly_watch",
    "at_end": "a loop over the weights, for who looks for a fault",
    "check": "the first half of load",
    "concurrent_quantize_input": "as quantize_input",
    "enrolled": "reads a number",
    "erase_slots": "calls write_slot",
    "evaluate_rehearsal": "evaluate, for each of its samples",
    "feed_real_rows": "as feed_rows, and quantizes",
    "feed_restart": "a few stores",
    "follow_reset": "a few stores",
    "forget": "a few stores",
    "forget_all": "as init",
    "forget_class": "a few stores",
    "guard_finish": "as guard",
    "guard_reset": "a few stores",
    "health_reset": "a few stores",
    "keep_frozen": "for a simulation on a host alone",
    "link_receives": "reads a number",
    "link_saw": "a few stores",
    "link_set_lock": "for a link that asks for a key",
    "quantize_rows": "as feed_rows",
    "rehearse_begin": "step_begin, on a sample of the set",
    "remember": "a part of train_and_remember",
    "replay_begin": "step_begin, on a sample that is kept",
    "step_progress": "reads a number",
    "step_cancel": "a few stores",
    "train_and_remember_begin": "step_begin, on a sample that is kept as well",
    "switch": "for a search on a host alone",
    "unlabelled": "reads two numbers",
    "use_frozen": "for a simulation on a host alone",
    "version": "reads an address",
}
"""Functions of a model that no row calls, and why."""


def test_every_option_has_a_row_or_a_reason() -> None:
    measured = {name for row in every_row() for name in row.options}
    # What selects the program beside others is no feature of its own.
    assert measured | set(NO_ROW) == set(OPTIONS)
    assert measured & set(NO_ROW) == {"scheme"}
    assert all(reason.strip() for reason in NO_ROW.values())


def test_every_function_of_a_model_has_a_row_or_a_reason() -> None:
    called = set(re.findall(r"(?:CALL\(|FN\()(\w+)", TEXT)) - {"name"}
    assert declared() - called - {"input"} == set(NOT_CALLED)


def test_every_row_is_compared_with_a_program_and_calls_what_there_is() -> None:
    assert len(BY_NAME) == len(list(every_row()))
    known = set(re.findall(r"\bCALLS_(\w+)", TEXT)) - {"NAME"} | {"TARGETS"}
    assert known == {name for row in every_row() for name in row.calls}
    for row in FEATURES:
        assert row.beside in BY_NAME, row.name
        page = row.see.partition("#")[0]
        assert (ROOT / "docs" / page).is_file(), row.name


def test_words_are_those_of_the_sources() -> None:
    """A word that names nothing would be found nowhere, and hold nothing."""
    files = [*(ROOT / "codegen").glob("*.j2"), *(ROOT / "runtime_c" / "src").glob("*.c")]
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    names = set(re.findall(r"\w+", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)))
    assert [word for word in WORDS if not any(word in name for name in names)] == []


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Product:
    """A model with no feature but the health counters."""
    place = tmp_path_factory.mktemp("plain")
    model = quantized_model(place / "plain.onnx")
    return compile_model(str(model), output=place / "out", target=CORE, name=NAME)


def image(program: Path) -> bytes:
    """What is written into flash."""
    file = program.with_suffix(".bin")
    subprocess.run([f"{TOOLS}objcopy", "-O", "binary", program, file], check=True)
    return file.read_bytes()


def test_no_name_of_a_feature_is_in_a_program_without_it(plain: Product) -> None:
    held = symbols(linked(plain, load_target(CORE), ()))
    assert {"main", f"{NAME}_train_step"} <= held
    assert [name for name in sorted(held) if any(word in name for word in WORDS)] == []
    # Nor is a member of it in the state.
    header = (plain.directory / "src" / f"{NAME}.h").read_text(encoding="utf-8")
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    assert [word for word in GENERATED if word in code] == []


def test_what_is_not_called_is_no_byte_of_the_program(plain: Product, tmp_path: Path) -> None:
    """The files of the store and of signed files come with every model."""
    sources = plain.directory / "src"
    whole = image(linked(plain, load_target(CORE), ()))
    for name in ("tt_store.c", "tt_signed.c"):
        shutil.move(sources / name, tmp_path / name)
    try:
        without = image(linked(plain, load_target(CORE), ()))
    finally:
        for name in ("tt_store.c", "tt_signed.c"):
            shutil.move(tmp_path / name, sources / name)
    assert whole == without


def folder_of(plain: Product, place: Path) -> dict[str, bytes]:
    with FolderWriter(place) as writer:
        emit_folder(writer, plain.compiled, load_target(CORE))
        return {
            file.relative_to(writer.path).as_posix(): file.read_bytes()
            for file in writer.path.rglob("*")
            if file.is_file()
        }


def without_features(place: Path) -> Iterator[str]:
    """Copies of the folders of C without the files of any feature; their names."""
    for folder in ("codegen", "runtime_c", "targets"):
        shutil.copytree(ROOT / folder, place / folder)
        for file in sorted((place / folder).rglob("*")):
            if folder != "targets" and any(word in file.name for word in GENERATED):
                file.unlink()
                yield file.name


def test_a_folder_is_the_same_where_the_files_of_all_features_are_absent(
    plain: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release()  # A number of the whole runtime; every folder has it.
    whole = folder_of(plain, tmp_path / "whole")
    gone = set(without_features(tmp_path / "place"))
    assert {"replay.c.j2", "tt_guard.c", "tt_adam.c", "portions.h.j2", "tt_link.h"} <= gone
    monkeypatch.setattr(resources, "folder", lambda name: tmp_path / "place" / name)
    assert folder_of(plain, tmp_path / "less") == whole


def test_the_page_says_why_an_option_has_no_row() -> None:
    rows = [f"| `{OPTIONS[name].flag}` | {reason} |" for name, reason in sorted(NO_ROW.items())]
    lines = ["", "| option | why |", "|---|---|"]
    hold_section("features.md", "options without a row", "\n".join([*lines, *rows, "", ""]))


@pytest.mark.parametrize("core", CORES)
def test_the_page_has_every_row(core: str) -> None:
    table = PAGE.split(f"<!-- measured: {core} -->\n")[1].split("<!-- end: ")[0]
    rows = [line.split("|")[1:-1] for line in table.strip().splitlines()[2:]]
    named = [re.findall(r"^ \[(.+?)\]", cells[0])[0] for cells in rows]
    assert named == [row.name for row in (*PROGRAMS, *FEATURES)]
    assert {len(cells) for cells in rows} == {8}
    for cells in rows:
        assert re.fullmatch(r" [+-]?[\d,]+ ", cells[2]), cells


@pytest.mark.slow
def test_the_page_says_what_is_measured(tmp_path: Path) -> None:
    bench = Bench(CORE, tmp_path)
    store = bench.cost(BY_NAME["store"])
    beside = bench.cost(BY_NAME["save, load"])
    found = re.search(r"\| \[store\]\S+ .*? \| \+([\d,]+) \| \+([\d,]+) \|", PAGE)
    assert found is not None
    flash, ram = (int(number.replace(",", "")) for number in found.groups())
    assert store.flash - beside.flash == pytest.approx(flash, rel=0.05)
    assert store.ram - beside.ram == ram
