"""Models of several folders in one CMake build: as sub-projects, fetched, installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.host_programs import PROGRAMS, link
from tests.support.surroundings import HANGS

pytestmark = pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is missing")

TURNS = "aabbbaab"
PROJECT = """cmake_minimum_required(VERSION 3.16)
project(app LANGUAGES C CXX)
{before}
add_executable(app {program})
target_link_libraries(app PRIVATE first second)
"""
FETCHED = """include(FetchContent)
FetchContent_Declare(first SOURCE_DIR "{first}")
FetchContent_Declare(second SOURCE_DIR "{second}")
FetchContent_MakeAvailable(first second)
"""


def cmake(*words: object, fails: bool = False) -> str:
    """What it says; of an error without the line breaks that CMake puts into it."""
    done = subprocess.run(
        ["cmake", *map(str, words)], capture_output=True, text=True, timeout=HANGS, check=False
    )
    assert (done.returncode != 0) == fails, done.stdout[-2000:] + done.stderr[-4000:]
    assert "warning" not in done.stderr.lower(), done.stderr
    return " ".join(done.stderr.split()) if fails else done.stdout


def build(
    folder: Path, before: str, *options: str, program: Path = PROGRAMS / "two_models.c"
) -> Path:
    """Builds a program around models; returns the folder of the build."""
    folder.mkdir(exist_ok=True)
    (folder / "CMakeLists.txt").write_text(PROJECT.format(before=before, program=program))
    cmake("-S", folder, "-B", folder / "build", "-DCMAKE_BUILD_TYPE=Debug", *options)
    cmake("--build", folder / "build", "-j2")
    return folder / "build"


def subprojects(folders: Sequence[Path]) -> str:
    return "\n".join(f'add_subdirectory("{folder}" {folder.name})' for folder in folders)


def output(program: Path) -> str:
    return subprocess.run(
        [str(program), TURNS], capture_output=True, text=True, timeout=HANGS, check=True
    ).stdout


@pytest.fixture(scope="module")
def spaced(two: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Copies of the two models in folders with blanks in their names."""
    place = tmp_path_factory.mktemp("with blanks") / "my models"
    for folder, name in zip(two, ("first", "second"), strict=True):
        shutil.copytree(folder, place / name)
    return sorted(place.iterdir())


@pytest.fixture(scope="module")
def wanted(two: list[Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the program says where a compiler alone has built it."""
    return link("two_models.c", two, tmp_path_factory.mktemp("plain"), flags=["-O1"]).run(TURNS)


def test_sub_projects_share_one_runtime(spaced: list[Path], wanted: str, tmp_path: Path) -> None:
    """Folders for Cortex-M, built for this machine in a larger project, which sees no port."""
    program = tmp_path / "app.c"
    program.write_text(
        f'#include "{PROGRAMS / "two_models.c"}"\n'
        '#if __has_include("tt_port.h")\n#error "the port is among the public headers"\n#endif\n'
    )
    built = build(tmp_path / "app", subprojects(spaced), program=program)
    assert output(built / "app") == wanted
    objects = [path.name for path in built.rglob("*.o")]
    assert len(objects) == len(set(objects))


@pytest.mark.slow
def test_fetched_from_a_local_path(spaced: list[Path], wanted: str, tmp_path: Path) -> None:
    before = FETCHED.format(first=spaced[0], second=spaced[1])
    assert output(build(tmp_path / "app", before) / "app") == wanted


@pytest.mark.slow
def test_installed(spaced: list[Path], wanted: str, tmp_path: Path) -> None:
    prefix = f"-DCMAKE_INSTALL_PREFIX={tmp_path / 'prefix'}"
    cmake("--install", build(tmp_path / "app", subprojects(spaced), prefix))
    moved = tmp_path / "moved"
    (tmp_path / "prefix").rename(moved)
    before = "find_package(first REQUIRED)\nfind_package(second REQUIRED)"
    built = build(tmp_path / "other", before, f"-DCMAKE_PREFIX_PATH={moved}")
    assert output(built / "app") == wanted


@pytest.mark.slow
def test_installed_apart(spaced: list[Path], tmp_path: Path) -> None:
    """The second runtime has taken the place of the first, which held more."""
    for folder in (spaced[0], spaced[1]):
        place = tmp_path / folder.name
        compiler = ("-DCMAKE_C_COMPILER=gcc", f"-DCMAKE_INSTALL_PREFIX={tmp_path / 'prefix'}")
        (place).mkdir()
        (place / "CMakeLists.txt").write_text(
            f"cmake_minimum_required(VERSION 3.16)\nproject(p C)\n{subprojects([folder])}\n"
        )
        cmake("-S", place, "-B", place / "build", "-DCMAKE_BUILD_TYPE=Debug", *compiler)
        cmake("--build", place / "build", "-j2")
        cmake("--install", place / "build")
    app = tmp_path / "app"
    app.mkdir()
    (app / "CMakeLists.txt").write_text(
        PROJECT.format(before="find_package(first REQUIRED)", program="a.c")
    )
    told = cmake(
        "-S", app, "-B", app / "b", f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}", fails=True
    )
    assert "was built without first: compile all models of a program with one release" in told


@pytest.mark.slow
def test_instruction_sets_of_both(spaced: list[Path], tmp_path: Path) -> None:
    """For a core that both can run on; each has kernels for another instruction set."""
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is missing")
    core = "-mcpu=cortex-m55 -mthumb -mfloat-abi=hard"
    options = [
        *("-DCMAKE_SYSTEM_NAME=Generic", "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY"),
        *("-DCMAKE_C_COMPILER=arm-none-eabi-gcc", "-DCMAKE_CXX_COMPILER=arm-none-eabi-g++"),
        *(f"-DCMAKE_C_FLAGS={core}", f"-DCMAKE_CXX_FLAGS={core}"),
        "-DCMAKE_EXE_LINKER_FLAGS=--specs=nosys.specs -Wl,--no-warnings",
    ]
    built = build(tmp_path / "app", subprojects(spaced), *options)
    names = subprocess.run(
        ["arm-none-eabi-nm", str(built / "app")], capture_output=True, text=True, check=True
    ).stdout
    for suffix in ("dsp", "mve"):
        assert re.search(rf" [Tt] tt_\w+_{suffix}$", names, re.MULTILINE), suffix
    options[4:6] = ["-DCMAKE_C_FLAGS=", "-DCMAKE_CXX_FLAGS="]
    told = cmake("-S", tmp_path / "app", "-B", tmp_path / "other", *options, fails=True)
    assert "second was compiled for another core than the first model of this build" in told


def test_two_releases_do_not_mix(spaced: list[Path], tmp_path: Path) -> None:
    """CMake refuses them when it configures; a compiler, whoever calls it, at the first header."""
    old = tmp_path / "old"
    shutil.copytree(spaced[1], old)
    for file in (old / "CMakeLists.txt", old / "src" / "tinytrain.h"):
        text, count = re.subn("0x[0-9a-f]{8}", "0x01234567", file.read_text())
        assert count >= 2
        file.write_text(text)
    app = tmp_path / "app"
    app.mkdir()
    (app / "CMakeLists.txt").write_text(
        PROJECT.format(before=subprojects([spaced[0], old]), program="a.c")
    )
    told = cmake("-S", app, "-B", app / "b", fails=True)
    assert "second and another model of this build come from two releases of tinytrain" in told
    (app / "a.c").write_text('#include "first.h"\n#include "second.h"\n')
    compiled = refused(app / "a.c", spaced[0] / "src", old / "src")
    assert (
        "two releases meet here: compile all models with one, and replace whole folders" in compiled
    )


def test_a_runtime_of_another_version(spaced: list[Path], tmp_path: Path) -> None:
    """Somebody has replaced `include` alone."""
    old = tmp_path / "old"
    shutil.copytree(spaced[0], old)
    header = old / "include" / "tinytrain.h"
    text, count = re.subn(r"(RUNTIME_VERSION) \d+", r"\1 1", header.read_text())
    assert count == 1
    header.write_text(text)
    for include in ((old / "src",), (old / "include", old / "src")):
        assert "two releases meet here" in refused(old / "src" / "first.c", *include)


def refused(source: Path, *include: Path) -> str:
    done = subprocess.run(
        ["cc", "-std=c11", "-fsyntax-only", *(f"-I{folder}" for folder in include), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    return done.stderr
