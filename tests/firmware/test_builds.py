"""A generated folder builds alone, with every compiler, without a warning."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.host_programs import STRICT, Compile
from tests.support.objects import compiled
from tinytrain import resources
from tinytrain.target import WARNINGS, list_targets, load_target

HOST_BUILDS = [(compiler, f"-O{level}") for compiler in ("gcc", "clang") for level in "0123s"]
QUICK = ("microbit", "mps2-an386", "mps2-an505")
ARM = [
    pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow])
    for name in list_targets()
    if not load_target(name).is_host
]
TOOLS = ("make", "gcc", "cc", "clang", "g++", "clang++", "cmake", "arm-none-eabi-gcc",
         "arm-none-eabi-g++")  # fmt: skip


def bare() -> dict[str, str]:
    """An environment of a PATH with the system's own commands, and nothing else."""
    folders = {str(Path(found).parent) for tool in TOOLS if (found := shutil.which(tool))}
    return {"PATH": os.pathsep.join(sorted(folders | {"/usr/bin", "/bin"}))}


def run(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is missing")
    done = subprocess.run(
        command, cwd=folder, env=bare(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "warning" not in done.stderr.lower(), done.stderr
    return done


@pytest.fixture
def alone(generated: Compile, tmp_path: Path) -> Path:
    """A copy of a folder for the host, far from the repository, under a name with a space."""
    folder = tmp_path / "my model"
    shutil.copytree(generated("small"), folder)
    return folder


@pytest.mark.parametrize(("compiler", "optimise"), HOST_BUILDS)
def test_make(compiler: str, optimise: str, alone: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is missing")
    run(["make", f"CC={compiler}", f"OPTIMISE={optimise}"], alone)
    assert os.access(alone / "build" / "small", os.X_OK)


def test_make_needs_no_options_and_cleans(alone: Path) -> None:
    before = sorted(path for path in alone.rglob("*"))
    run(["make"], alone)
    run(["make", "clean"], alone)
    assert sorted(path for path in alone.rglob("*")) == before


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_cmake(compiler: str, alone: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is missing")
    run(["cmake", "-S", ".", "-B", "build", f"-DCMAKE_C_COMPILER={compiler}"], alone)
    run(["cmake", "--build", "build"], alone)
    assert os.access(alone / "build" / "small", os.X_OK)


OTHERS = ["test", "string", "command", "tt_conv2d", "src", "tinytrain"]


@pytest.mark.parametrize(
    "name", [*OTHERS[:2], *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS[2:])]
)
def test_names_that_others_use(name: str, generated: Compile, tmp_path: Path) -> None:
    """A model may be called like a make target, a header of C, or a file of the runtime."""
    folder = tmp_path / "out"
    shutil.copytree(generated(name), folder)
    run(["make"], folder)
    shutil.rmtree(folder / "build")
    if shutil.which("cmake"):
        run(["cmake", "-S", ".", "-B", "build"], folder)
        run(["cmake", "--build", "build"], folder)


@pytest.mark.parametrize("target", ARM)
def test_every_target(target: str, generated: Compile, tmp_path: Path) -> None:
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is missing")
    options = {"scheme": "head", "fraction_bits": 0} if target == "microbit" else {}
    folder = tmp_path / "out"
    shutil.copytree(generated("small", target=target, **options), folder)
    run(["make", "OPTIMISE=-O3"], folder)
    assert (folder / "build" / "small.elf").is_file()


@pytest.mark.parametrize("optimise", ["-O0", "-O1", "-Os"])
def test_arm_at_every_level(optimise: str, generated: Compile, tmp_path: Path) -> None:
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is missing")
    folder = tmp_path / "out"
    shutil.copytree(generated("small", target="mps2-an500"), folder)
    run(["make", f"OPTIMISE={optimise}"], folder)


def test_cmake_for_arm(generated: Compile, tmp_path: Path) -> None:
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is missing")
    folder = tmp_path / "out"
    shutil.copytree(generated("small", target="mps2-an500"), folder)
    run(["cmake", "-S", ".", "-B", "build"], folder)
    run(["cmake", "--build", "build"], folder)
    assert (folder / "build" / "small.elf").is_file()


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
@pytest.mark.parametrize("standard", ["c++11", "c++20"])
def test_header_in_cpp(compiler: str, standard: str, alone: Path) -> None:
    """C++ includes the header, twice, and calls everything in it."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is missing")
    program = alone / "app.cpp"
    program.write_text(
        '#include "small.h"\n#include "small.h"\n'
        "static small_state state;\n"
        "static int pass(void *, const void *, size_t) { return 0; }\n"
        "int main() {\n"
        "    small_init(&state);\n"
        "    float x[SMALL_INPUT_SIZE] = {};\n"
        "    small_quantize_input(&state, x);\n"
        "    tt_result result = {};\n"
        "    if (small_train_step(&state, 1, &result) != TT_OK) return 1;\n"
        "    return small_save(&state, pass, nullptr) == TT_OK ? 0 : 1;\n"
        "}\n"
    )
    folders = (alone / "include", alone / "src")
    objects = compiled(sorted(folders[1].glob("*.c")), folders, "gcc", *STRICT)
    warnings = [*WARNINGS, "-pedantic"]
    run(
        [compiler, f"-std={standard}", *warnings, "-Iinclude", "-Isrc", "app.cpp",
         *map(str, objects), "-o", "app"],
        alone,
    )  # fmt: skip
    assert subprocess.run([str(alone / "app")], check=False).returncode == 0


FAST = ("-ffast-math", "-Ofast", "-ffinite-math-only")
REFUSED = [(compiler, flag) for compiler in ("gcc", "clang") for flag in FAST]
REFUSED += [("gcc", "-funsafe-math-optimizations")]  # clang defines nothing by it


@pytest.mark.parametrize(("compiler", "flag"), REFUSED)
def test_flags_that_change_the_arithmetic(compiler: str, flag: str, generated: Compile) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is missing")
    folder = generated("small")
    sources = [path for path in (folder / "src").glob("*.c") if "constants" not in path.name]
    for source in sorted(sources):
        command = [compiler, flag, "-E", "-Iinclude", "-Isrc", f"src/{source.name}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode != 0, source.name
        assert "tinytrain: build without -ffast-math" in done.stderr


CORES = {
    "M4": ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
    "M55": ("-mcpu=cortex-m55", "-mfloat-abi=hard"),
}


@pytest.mark.parametrize("core", CORES)
def test_gnu_mode_does_not_fuse(core: str, tmp_path: Path) -> None:
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is missing")
    runtime = resources.folder("runtime_c")
    include = [f"-I{runtime / part}" for part in ("include", "src")]
    sources = [
        path for path in sorted((runtime / "src").glob("*.c")) if "float" in path.read_text()
    ]
    assert len(sources) > 10
    for source in sources:
        made = tmp_path / f"{source.stem}.s"
        run(
            ["arm-none-eabi-gcc", "-std=gnu11", "-O2", *CORES[core], *WARNINGS, *include, "-S",
             str(source), "-o", str(made)],
            tmp_path,
        )  # fmt: skip
        text = made.read_text(encoding="utf-8")
        assert not re.search(r"\bvfn?m[as]\.f32\s+s", text), source.name
