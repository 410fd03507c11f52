"""The C interface under bad files, failing callbacks and bad arguments, with sanitizers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.host_programs import SANITIZERS, Compile, link

EDITS, MANY_EDITS = 3_000, 1_000_000
"""Files that are edited at random."""


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scheme": "last-1", "gradient": "s16", "fraction_bits": 0},
        pytest.param({"scheme": "bias"}, marks=pytest.mark.slow),
        {"scheme": "last-1", "replay": 2},
        {"scheme": "last-1", "replay": 2, "kind": "OF_SAMPLES"},
        {"scheme": "last-1", "replay": 2, "kind": "OF_OLD"},
    ],
    ids=["full", "last-1", "bias", "replay", "samples", "format 1"],
)
def test_saved_files(options: dict[str, object], generated: Compile, tmp_path: Path) -> None:
    kind = [f"-D{options['kind']}"] if "kind" in options else []
    folder = generated("small", **{key: options[key] for key in options if key != "kind"})
    told = link("saved_files.c", [folder], tmp_path, flags=[*SANITIZERS, *kind]).run(EDITS)
    word, count = told.split()
    assert word == "ok"
    assert int(count) > 500 + EDITS // 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["OF_LEARNED", "OF_SAMPLES", "OF_OLD"])
def test_a_million_edits_of_a_file(kind: str, generated: Compile, tmp_path: Path) -> None:
    folder = generated("small", scheme="last-1", replay=2)
    program = link("saved_files.c", [folder], tmp_path, flags=["-O2", f"-D{kind}"])
    assert int(program.run(MANY_EDITS).split()[1]) > 0.9 * MANY_EDITS


@pytest.mark.parametrize("place", ["ram", "flash"])
def test_before_init_and_after_all_was_erased(
    place: str, generated: Compile, tmp_path: Path
) -> None:
    folder = generated("small", scheme="full", replay=3, replay_in=place)
    # A state at a wrong address is what is tried.
    flags = [*SANITIZERS, "-fno-sanitize=alignment"]
    flags += ["-DIN_FLASH"] if place == "flash" else []
    assert link("erase.c", [folder], tmp_path, flags=flags).run() == "ok\n"


@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error"])
@pytest.mark.parametrize("gradient", ["s8", pytest.param("f32", marks=pytest.mark.slow)])
def test_arguments(loss: str, gradient: str, generated: Compile, tmp_path: Path) -> None:
    folder = generated("small", loss=loss, gradient=gradient, schedule="constant")
    assert link("arguments.c", [folder], tmp_path).run() == "ok\n"


@pytest.mark.parametrize("window", [1, 4])
def test_rate_limit(window: int, generated: Compile, tmp_path: Path) -> None:
    folder = generated("small", scheme="head", rate_limit=0.5, accumulate=window)
    program = link("rate_limit.c", [folder], tmp_path, flags=[*SANITIZERS, f"-DWINDOW={window}"])
    assert program.run() == "ok\n"


def test_what_is_the_firmware_s_and_what_the_file_s(generated: Compile, tmp_path: Path) -> None:
    """An update brings its own rate, schedule and seed; steps and a lowered rate are the file's."""
    firmwares = {
        "old": {"learning_rate": 512.0, "schedule": "constant", "rounding_seed": 1},
        "new": {"learning_rate": 0.5, "schedule": "step:5:0.5", "rounding_seed": 2},
        "none": {"learning_rate": 0.0, "schedule": "constant", "rounding_seed": 1},
    }
    programs = {}
    for name, options in firmwares.items():
        place = tmp_path / name
        place.mkdir()
        programs[name] = link("handover.c", [generated("small", scheme="head", **options)], place)
    for name in ("old", "none"):
        programs[name].run("save", tmp_path / f"{name}.bin")

    def loaded(by: str, of: str) -> list[list[float]]:
        lines = programs[by].run("load", tmp_path / f"{of}.bin").splitlines()
        return [[float(word) for word in line.split()] for line in lines]

    # The same firmware goes on to the bit.
    assert loaded("old", "old") == [[512, 5, 1], [0.0625, 5, 1], [0.0625, 5, 1], [128, 5, 1]]
    # Five steps are behind it, so the new schedule halves; it never sees 512.
    assert loaded("new", "old") == [
        [0.25, 5, 2], [0.03125, 5, 2], [0.03125, 5, 2], [0.0625, 5, 2],
    ]  # fmt: skip
    # Of nothing there is no factor.
    assert [row[0] for row in loaded("new", "none")] == [0.25, 0.03125, 0.03125, 0.25]
    assert [row[0] for row in loaded("none", "old")] == [0, 0.0625, 0.0625, 0]


@pytest.mark.parametrize("scheme", ["head", pytest.param("last-1", marks=pytest.mark.slow)])
def test_rows(scheme: str, generated: Compile, tmp_path: Path) -> None:
    folders = [
        generated(name, scheme=scheme, feed=feed, shape=(1, 3, 9, 6))
        for name, feed in (("rows", "rows"), ("whole", "whole"))
    ]
    assert link("feed.c", folders, tmp_path).run() == "ok\n"


def test_a_header_that_the_compiler_did_not_read_is_refused(
    generated: Compile, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(generated("small"), tmp_path / "small"))
    command = ["gcc", "-std=c11", "-fsyntax-only", "-Iinclude", "-Isrc", "src/small.c"]
    assert subprocess.run(command, cwd=folder, check=False).returncode == 0
    header = folder / "include" / "tt_saved_file.h"
    text = header.read_text(encoding="utf-8")
    header.write_text(text.replace("    uint32_t count;", "    uint64_t count;"), encoding="utf-8")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "the sizes that tinytrain read in tt_saved_file.h" in done.stderr
