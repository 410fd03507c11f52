"""The folder as an Arduino library: compiled as Arduino's builder does, without a flag of ours.

Its sources see `src` alone, in GNU mode and at -Os; each library becomes an archive. The cores of
Arduino are not here: a small Arduino.h of ours stands for them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.host_programs import Compile
from tests.support.objects import compiled, run
from tests.support.surroundings import HANGS

OURS = Path(__file__).parent / "arduino"
CORE = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
IN_C = (
    "-std=gnu11",
    "-Os",
    "-ffunction-sections",
    "-fdata-sections",
    "-Wall",
    "-Wextra",
    "-Werror",
)
IN_CPP = ("-std=gnu++11", "-Os", "-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra", "-Werror")
MAIN = "int main()\n{\n    setup();\n    for (int i = 0; i < 40; i++)\n        loop();\n}\n"


def properties(folder: Path) -> dict[str, str]:
    lines = (folder / "library.properties").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines)


def library(folder: Path, place: Path, compiler: str, *flags: str) -> Path:
    """The archive that Arduino makes of a library with `dot_a_linkage`."""
    assert properties(folder)["dot_a_linkage"] == "true"
    sources = sorted((folder / "src").rglob("*.c"))
    objects = compiled(sources, [folder / "src"], compiler, *IN_C, *flags)
    archive = place / f"{folder.name}.a"
    run(compiler.replace("gcc", "ar"), "rcs", archive, *objects)
    return archive


def program(
    sketch: str, folders: Sequence[Path], place: Path, prefix: str = "", flags: Sequence[str] = ()
) -> Path:
    """Links a sketch with libraries."""
    source = place / "sketch.cpp"
    source.write_text(f"#include <Arduino.h>\n{sketch}\n{MAIN}")
    include = [OURS, *(folder / "src" for folder in folders)]
    archives = [library(folder, place, f"{prefix}gcc", *flags) for folder in folders]
    made = place / "sketch.o"
    run(f"{prefix}g++", *IN_CPP, *flags, *(f"-I{one}" for one in include), "-c", source, "-o", made)
    specs = ["--specs=nosys.specs", "-Wl,--no-warnings"] if prefix else []
    run(f"{prefix}g++", *flags, *specs, "-Wl,--gc-sections", made, *archives, "-lm",
        "-o", place / "program")  # fmt: skip
    return place / "program"


def sketch_of(folder: Path) -> str:
    """The sketch of a folder, which lies where Arduino looks for it."""
    (file,) = (folder / "examples").rglob("*.ino")
    assert file.stem == file.parent.name
    return file.read_text(encoding="utf-8")


def output(program: Path) -> list[str]:
    return subprocess.run(
        [str(program)], capture_output=True, text=True, timeout=HANGS, check=True
    ).stdout.splitlines()


SKETCHES: dict[str, dict[str, object]] = {
    "labels": {"self_test": True},
    "rows": {"feed": "rows", "scheme": "head"},
    "nothing": {"scheme": "none", "enrol": "ncm"},
}


@pytest.mark.parametrize("kind", SKETCHES)
def test_the_sketch_runs(kind: str, generated: Compile, tmp_path: Path) -> None:
    """Without a flag of ours the self-test finds every bit where it should be."""
    folder = generated(kind, **SKETCHES[kind])
    lines = output(program(sketch_of(folder), [folder], tmp_path))
    assert re.fullmatch(r"\d+\.\d+\.\d+ [0-9a-f]{12}", lines[0])
    if kind == "labels":
        assert lines.pop(1) == "self-test: right to the bit"
        losses = [float(line.split(": loss ")[1]) for line in lines[1:]]
        assert sum(losses[-8:]) < sum(losses[:8])
    assert len(lines) == 41
    assert lines[-1].startswith("40: ")


def test_the_sketch_on_a_board(two: list[Path], tmp_path: Path) -> None:
    if shutil.which("arm-none-eabi-g++") is None:
        pytest.skip("arm-none-eabi-g++ is missing")
    made = program(sketch_of(two[0]), two[:1], tmp_path, "arm-none-eabi-", CORE)
    shown = ["arm-none-eabi-objdump", "-d", "--no-show-raw-insn", str(made)]
    text = subprocess.run(shown, capture_output=True, text=True, check=True).stdout
    found = re.findall(r"<(\w+)>:\n(?:[^\n]+\n)*?[^\n]*\tvfn?m[as]", text)
    assert not [name for name in found if name.startswith(("tt_", "first_"))]
    assert "<first_train_step>" in text


@pytest.mark.parametrize("prefix", ["", "arm-none-eabi-"])
def test_the_sketch_with_a_link(prefix: str, generated: Compile, tmp_path: Path) -> None:
    """A second sketch answers a host; on a bare line it says nothing."""
    if shutil.which(f"{prefix}g++") is None:
        pytest.skip(f"{prefix}g++ is missing")
    folder = generated("linked", link=True)
    sketch = (folder / "examples" / "linked_link" / "linked_link.ino").read_text(encoding="utf-8")
    made = program(sketch, [folder], tmp_path, prefix, CORE if prefix else ())
    if not prefix:
        assert output(made) == []


def test_two_libraries_in_one_sketch(two: list[Path], tmp_path: Path) -> None:
    """Each brings the whole runtime that it calls; the linker takes each function once."""
    sketch = (
        "#include <first.h>\n#include <second.h>\n"
        "static first_state a;\nstatic second_state b;\n"
        "void setup()\n{\n    first_init(&a);\n    second_init(&b);\n}\n"
        "void loop()\n{\n    tt_result one, other;\n    first_train_step(&a, 1, &one);\n"
        "    second_train_step(&b, 1, &other);\n    Serial.println(one.loss, 4);\n"
        "    Serial.println(other.loss, 4);\n    second_replay_step(&b, &other);\n}\n"
    )
    assert len(output(program(sketch, two, tmp_path))) == 80


def test_what_arduino_reads(two: list[Path]) -> None:
    """The keys that the library specification requires, and the values that it allows."""
    held = properties(two[0])
    required = "name version author maintainer sentence paragraph category url architectures"
    assert set(required.split()) <= set(held)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,62}", held["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", held["version"])
    assert held["category"] == "Data Processing"
    assert (two[0] / "src" / held["includes"]).is_file()


def test_every_header_is_found_in_src(two: list[Path]) -> None:
    for folder in two:
        for header in (folder / "include").iterdir():
            forward = (folder / "src" / header.name).read_text(encoding="utf-8")
            assert f'#include "../include/{header.name}"' in forward
