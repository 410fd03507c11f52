"""The C-side folders are found in a checkout and travel in the wheel."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tinytrain import resources
from tinytrain.errors import InternalError


def test_folders_of_the_checkout() -> None:
    for name in resources.FOLDERS:
        assert resources.folder(name) == ROOT / name


def test_missing_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "tinytrain")
    with pytest.raises(InternalError, match="lacks its folder 'targets'"):
        resources.folder("targets")


def test_wheel_holds_all_and_works_without_the_checkout(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("tinytrain-*.whl")
    place = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(place)
    for folder in resources.FOLDERS:
        files = [file for file in (ROOT / folder).rglob("*") if file.is_file()]
        assert files
        for file in files:
            assert f"tinytrain/_data/{file.relative_to(ROOT).as_posix()}" in names
    assert not [name for name in names if name.startswith(("tests/", "examples/", "codegen/"))]

    code = (
        "from tinytrain import resources\n"
        "from tinytrain.toolchain.build_files import makefile, port_files\n"
        "from tinytrain.target import list_targets, load_target\n"
        "assert 'installed' in str(resources.folder('targets'))\n"
        "assert 'host' in list_targets()\n"
        "assert port_files(load_target('mps3-an547'))['link.ld']\n"
        "assert makefile(load_target('host'), 'm', ['src/m.c'])\n"
    )
    # Alone on the path, ahead of the checkout that an editable installation adds.
    subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(place)}, check=True
    )


def test_make_help_has_a_sentence_for_every_target() -> None:
    listing = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    shown = {line.split()[1]: line.split(maxsplit=2)[2] for line in listing.splitlines()}
    wanted = "help setup demo test test-all bench bench-speed bench-memory bench-host lint clean"
    assert list(shown) == wanted.split()
    assert all(len(sentence.split()) >= 3 for sentence in shown.values())
