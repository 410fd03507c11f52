"""The files that PlatformIO, ESP-IDF and Zephyr read, by their own tools where these are to be had.

PlatformIO's core and ESP-IDF's component manager come from the package index into an environment of
their own, once; neither Zephyr nor ESP-IDF itself is here.
"""

from __future__ import annotations

import json
import subprocess
import tarfile
import venv
from pathlib import Path

import pytest
import yaml

from tests.support.fetched import fetching
from tests.support.host_programs import PROGRAMS
from tests.support.surroundings import HANGS

TWO_MODELS = PROGRAMS / "two_models.c"
PACKAGES = ("platformio==6.2.0", "idf-component-manager==3.1.2")
# PlatformIO loads the list of licences from elsewhere; the one that we name stands for it.
PIO = """import sys
from platformio.package.manifest import schema
known = {"licenses": [{"licenseId": "MIT"}]}
schema.ManifestSchema.load_spdx_licenses = staticmethod(lambda: known)
from platformio.__main__ import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def tools() -> Path:
    """The folder of programs of an environment with both tools; it stays in `build`."""
    with fetching(f"test-tools/{'-'.join(PACKAGES)}") as place:
        ready, python = place / "ready", place / "bin" / "python"
        if not ready.is_file():
            venv.create(place, with_pip=True)
            command = [str(python), "-m", "pip", "install", "-q", *PACKAGES]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"{' and '.join(PACKAGES)} cannot be installed")
            ready.touch()
    return python.parent


def run(words: list[object], folder: Path, home: Path) -> None:
    done = subprocess.run(
        list(map(str, words)),
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "PLATFORMIO_CORE_DIR": str(home)},
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def packed(archive: Path) -> set[str]:
    with tarfile.open(archive) as opened:
        return {entry.name.removeprefix("./") for entry in opened if entry.isfile()}


def hold_packed(found: set[str], folder: Path) -> None:
    """All that a build needs, and nothing of what only we need."""
    for part in ("src", "include"):
        assert {name for name in found if name.startswith(f"{part}/")} == {
            path.relative_to(folder).as_posix() for path in (folder / part).iterdir()
        }
    assert not [name for name in found if name.startswith(("port/", "origin/", "build/"))]
    assert not found & {"Makefile", "manifest.json"}


@pytest.mark.slow
def test_platformio_packs_the_folder(tools: Path, two: list[Path], tmp_path: Path) -> None:
    made = tmp_path / "made.tar.gz"
    run([tools / "python", "-c", PIO, "pkg", "pack", "-o", made], two[0], tmp_path)
    found = packed(made)
    hold_packed(found, two[0])
    assert "library.json" in found and "examples/first_train/first_train.ino" in found


@pytest.mark.slow
def test_the_component_manager_packs_the_folder(
    tools: Path, two: list[Path], tmp_path: Path
) -> None:
    words = [tools / "compote", "component", "pack", "--name", "first", "--dest-dir", tmp_path]
    run(words, two[0], tmp_path)
    (made,) = tmp_path.glob("*.tgz")
    found = packed(made)
    hold_packed(found, two[0])
    assert {"idf_component.yml", "CMakeLists.txt"} <= found


@pytest.mark.slow
@pytest.mark.parametrize("mistake", ["license", "version"])
def test_the_tools_see_mistakes(mistake: str, tools: Path, two: list[Path], tmp_path: Path) -> None:
    """Without this, the tests above could pass with whatever we write."""
    held = json.loads((two[0] / "library.json").read_text())
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "library.json").write_text(json.dumps({**held, mistake: "none of these"}))
    (folder / "idf_component.yml").write_text('version: "none of these"\n')
    with pytest.raises(AssertionError):
        run([tools / "python", "-c", PIO, "pkg", "pack"], folder, tmp_path)
    with pytest.raises(AssertionError):
        run([tools / "compote", "component", "pack", "--name", "x"], folder, tmp_path)


def hold_built(folder: Path, project: str, option: str) -> None:
    """CMake builds the project, and its program runs."""
    (folder / "CMakeLists.txt").write_text(project)
    for words in (["-S", ".", "-B", "b", option], ["--build", "b", "-j2"]):
        done = subprocess.run(
            ["cmake", *words], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert subprocess.run([folder / "b" / "app", "ab"], check=False).returncode == 0


# ---- Zephyr: a schema of ours, written from the documented keys of module.yml ----

MODULE = {"name": str, "build": dict}
BUILD = {"cmake", "kconfig", "cmake-ext", "kconfig-ext", "depends", "settings"}


def test_zephyr_module(two: list[Path]) -> None:
    held = yaml.safe_load((two[0] / "zephyr" / "module.yml").read_text())
    assert {key: type(value) for key, value in held.items()} == MODULE
    assert set(held["build"]) <= BUILD
    assert (two[0] / held["build"]["cmake"] / "CMakeLists.txt").is_file()
    kconfig = (two[0] / held["build"]["kconfig"]).read_text()
    assert kconfig.startswith("config TINYTRAIN_FIRST\n\tbool ")
    assert "if(NOT CONFIG_TINYTRAIN_FIRST)" in (two[0] / "CMakeLists.txt").read_text()


ZEPHYR = """cmake_minimum_required(VERSION 3.20)
project(zephyr_app LANGUAGES C)
# What stands for Zephyr: a library for each module, all of them linked whole.
add_library(zephyr_interface INTERFACE)
function(zephyr_include_directories)
    foreach(folder IN LISTS ARGN)
        get_filename_component(path "${folder}" ABSOLUTE)
        target_include_directories(zephyr_interface INTERFACE "${path}")
    endforeach()
endfunction()
macro(zephyr_library_named name)
    add_library(${name} STATIC "")
    set_property(GLOBAL APPEND PROPERTY LIBRARIES ${name})
    target_link_libraries(${name} PUBLIC zephyr_interface)
endmacro()
set(CONFIG_TINYTRAIN_FIRST y)
set(CONFIG_TINYTRAIN_SECOND y)
"""


def test_two_modules_in_what_stands_for_zephyr(two: list[Path], tmp_path: Path) -> None:
    """Zephyr links every library of a module whole: nothing may be in two of them."""
    modules = "".join(f'add_subdirectory("{folder}" {folder.name})\n' for folder in two)
    whole = (
        f'add_executable(app "{TWO_MODELS}")\nget_property(libraries GLOBAL PROPERTY LIBRARIES)\n'
        "target_link_libraries(app PRIVATE zephyr_interface -Wl,--whole-archive ${libraries} "
        "-Wl,--no-whole-archive)\n"
    )
    hold_built(tmp_path, ZEPHYR + modules + whole, "-DCMAKE_BUILD_TYPE=Debug")


# ---- ESP-IDF: what its build asks of a component, in what stands for it ----

IDF = """cmake_minimum_required(VERSION 3.16)
project(idf_app LANGUAGES C)
set(ESP_PLATFORM 1)
function(idf_component_register)
    cmake_parse_arguments(ONE "" "" "SRCS;INCLUDE_DIRS" ${ARGN})
    if(ONE_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "unknown: ${ONE_UNPARSED_ARGUMENTS}")
    endif()
    get_filename_component(name "${CMAKE_CURRENT_SOURCE_DIR}" NAME)
    add_library(${name} STATIC ${ONE_SRCS})
    target_include_directories(${name} PUBLIC ${ONE_INCLUDE_DIRS})
    set(COMPONENT_LIB ${name} PARENT_SCOPE)
endfunction()
"""


def test_two_components_in_what_stands_for_esp_idf(two: list[Path], tmp_path: Path) -> None:
    components = "".join(f'add_subdirectory("{folder}" {folder.name})\n' for folder in two)
    names = " ".join(folder.name for folder in two)
    app = f'add_executable(app "{TWO_MODELS}")\ntarget_link_libraries(app PRIVATE {names})\n'
    hold_built(tmp_path, IDF + components + app, "-DCMAKE_C_FLAGS=-std=gnu17")


def test_the_component_is_described(two: list[Path]) -> None:
    held = yaml.safe_load((two[0] / "idf_component.yml").read_text())
    assert set(held) == {"version", "description", "license", "dependencies", "files"}
