"""Building folders, and what is said when that is not possible."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.emulated_programs import execute
from tinytrain.errors import BudgetError, ToolchainError, UsageError
from tinytrain.target import MemoryMap, Region, Target, list_targets, load_target
from tinytrain.toolchain.build import build
from tinytrain.toolchain.commands import disk_full, require
from tinytrain.toolchain.footprint import call_graph, footprint
from tinytrain.toolchain.sections import measure

MakeFolder = Callable[..., Path]
M7 = load_target("mps2-an500")
HOST = load_target("host")


def _with_ram(target: Target, size: int) -> Target:
    assert target.memory is not None
    memory = MemoryMap(target.memory.flash, Region(target.memory.ram.origin, size))
    return dataclasses.replace(target, ram=size, memory=memory)


@pytest.mark.parametrize("name", list_targets())
def test_every_target_builds(name: str, program_folder: MakeFolder) -> None:
    target = load_target(name)
    sizes = footprint(build(program_folder("hello", target), target), target).sizes
    assert sizes.text > 500
    assert sizes.bss >= 300


def test_one_folder_builds_for_other_targets_side_by_side(
    program_folder: MakeFolder, tmp_path: Path
) -> None:
    folder = program_folder("deep", M7)
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    programs = [build(folder, load_target(name)) for name in ("host", "m0", "mps2-an500")]
    programs.append(build(folder, HOST, compiler="clang", optimise="-O0", variant="clang"))
    assert len(set(programs)) == 4
    for program, name in zip(programs, ["host", "m0", "mps2-an500", "host"], strict=True):
        run = execute(program, load_target(name), tmp_path / program.parent.name)
        assert run.code == 0, run
    assert {file: file.read_bytes() for file in before} == before
    new = {file for file in folder.rglob("*") if file.is_file() and file not in before}
    assert all(file.relative_to(folder).parts[0] == "build" for file in new)


def test_flags_compiler_and_sanitizers_reach_the_program(
    program_folder: MakeFolder, tmp_path: Path
) -> None:
    folder = program_folder("deep", HOST)
    for compiler in ("gcc", "clang"):
        for optimise in ("-O0", "-O3"):
            program = build(
                folder,
                HOST,
                compiler=compiler,
                optimise=optimise,
                cflags_extra=["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
            )
            assert execute(program, HOST, tmp_path / "run").code == 0
            assert b"__asan_init" in program.read_bytes()
    assert b"__asan_init" not in build(folder, HOST, compiler="gcc").read_bytes()


def test_results_stay_bit_exact_whatever_flags_come_first(program_folder: MakeFolder) -> None:
    folder = program_folder("hello", M7)
    build(folder, M7, optimise="-Ofast", cflags_extra=["-ffp-contract=fast"])
    command = (folder / "build" / M7.name / "command").read_text().split()
    assert command.index("-fno-fast-math") > command.index("-Ofast")
    assert command.index("-ffp-contract=off") > command.index("-ffp-contract=fast")


def test_second_build_compiles_nothing_and_a_change_is_seen(program_folder: MakeFolder) -> None:
    folder = program_folder("hello", M7)
    program = build(folder, M7)
    objects = sorted(program.parent.rglob("*.o"))
    times = [file.stat().st_mtime_ns for file in objects]
    assert build(folder, M7) == program
    assert [file.stat().st_mtime_ns for file in objects] == times
    (folder / "src" / "part.h").write_text("extern const int part[3];\n#define CHANGED\n")
    build(folder, M7)
    assert sum(file.stat().st_mtime_ns != t for file, t in zip(objects, times, strict=True)) == 2


def test_same_bytes_wherever_the_folder_lies(program_folder: MakeFolder, tmp_path: Path) -> None:
    folder = program_folder("hello", M7)
    program = build(folder, M7)
    copy = tmp_path / "a name with spaces" / "and more"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("build"))
    other = build(copy, M7)
    assert other.read_bytes() == program.read_bytes()


def test_removed_source_leaves_nothing_behind(program_folder: MakeFolder) -> None:
    extra = "int unused(void);\nint unused(void) { return 3; }\n"
    folder = program_folder("hello", M7, {"src/unused.c": extra})
    program = build(folder, M7)
    assert "unused" in call_graph(program).frames
    (folder / "src" / "unused.c").unlink()
    assert "unused" not in call_graph(build(folder, M7)).frames


def test_folder_builds_alone_with_make(program_folder: MakeFolder, tmp_path: Path) -> None:
    for target in (M7, HOST):
        folder = program_folder("deep", target)
        subprocess.run(["make", "-s", "OPTIMISE=-O3"], cwd=folder, check=True)
        program = folder / "build" / f"deep{target.executable}"
        assert execute(program, target, tmp_path / target.name).code == 0
    subprocess.run(["make", "-s", "clean"], cwd=folder, check=True)
    assert not (folder / "build").exists()
    subprocess.run(["make", "-s", "CC=clang"], cwd=folder, check=True)
    assert execute(program, HOST, tmp_path / "clang").code == 0


def test_folder_builds_alone_with_cmake(program_folder: MakeFolder, tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("CMake is not installed: apt-get install cmake")
    for target in (M7, HOST):
        folder = program_folder("deep", target)
        subprocess.run(["cmake", "-S", ".", "-B", "out"], cwd=folder, check=True)
        subprocess.run(["cmake", "--build", "out"], cwd=folder, check=True)
        program = folder / "out" / f"deep{target.executable}"
        assert execute(program, target, tmp_path / target.name).code == 0


def test_sizes_agree_with_binutils(program_folder: MakeFolder) -> None:
    for target, tool in ((M7, "arm-none-eabi-size"), (HOST, "size")):
        program = build(program_folder("hello", target), target, compiler=None)
        listing = subprocess.run(
            [tool, "-A", str(program)], capture_output=True, text=True, check=True
        ).stdout
        fields = [line.split() for line in listing.splitlines()]
        expected = {f[0]: (int(f[1]), int(f[2])) for f in fields if len(f) == 3 and f[1].isdigit()}
        sizes = measure(program)
        for section in sizes.sections:
            assert expected[section.name] == (section.size, section.address), section
        missing = expected.keys() - {section.name for section in sizes.sections}
        # What is left over takes no memory: notes for tools, at address 0.
        assert all(expected[name][1] == 0 or expected[name][0] == 0 for name in missing)
        assert sizes.flash == sizes.text + sizes.rodata + sizes.data
        assert sizes.ram == sum(s.size for s in sizes.sections if s.kind in ("data", "bss"))


def test_initial_values_count_in_both_memories(program_folder: MakeFolder) -> None:
    sizes = measure(build(program_folder("hello", M7), M7))
    assert sizes.data >= 16  # data[4] is not zero
    names = [section.name for section in sizes.sections]
    assert names == [".vectors", ".text", ".rodata", ".data", ".bss"]


@pytest.mark.parametrize("keep", [0, 3, 40, 1000])
def test_cut_file_is_no_program(keep: int, program_folder: MakeFolder, tmp_path: Path) -> None:
    program = build(program_folder("hello", M7), M7)
    cut = tmp_path / "cut.elf"
    cut.write_bytes(program.read_bytes()[:keep])
    with pytest.raises(ToolchainError, match="no ELF file that can be measured"):
        measure(cut)


@pytest.mark.parametrize(
    ("command", "package"),
    [
        ("arm-none-eabi-gcc", "gcc-arm-none-eabi libnewlib-arm-none-eabi"),
        ("qemu-system-arm", "qemu-system-arm"),
        ("make", "make"),
        ("clang", "clang"),
        ("cc", "gcc"),
    ],
)
def test_missing_command_names_its_package(
    command: str, package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolchainError) as caught:
        require(command)
    assert caught.value.what == f"the command '{command}' is not installed"
    assert f"apt-get install {package}" in (caught.value.help or "")
    assert caught.value.exit_code == 7


def test_missing_compiler_stops_a_build(
    program_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = program_folder("hello", M7)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolchainError, match="'arm-none-eabi-gcc' is not installed"):
        build(folder, M7)
    assert not (folder / "build").exists()


def test_refused_source_shows_what_the_compiler_says(program_folder: MakeFolder) -> None:
    wrong = "int wrong(float x);\nint wrong(float x) { return x; }\n"
    folder = program_folder("hello", M7, {"src/wrong.c": wrong})
    with pytest.raises(ToolchainError) as caught:
        build(folder, M7)
    assert "cannot build the program for target 'mps2-an500'" in caught.value.what
    assert "src/wrong.c:2" in (caught.value.detail or "")
    assert "-Werro" in (caught.value.detail or "")


def test_ram_that_is_too_small(program_folder: MakeFolder) -> None:
    big = '#include "part.h"\nint big[9000];\n'
    big += "extern int used(int i);\nint used(int i) { return big[i]; }\n"
    folder = program_folder("deep", M7, {"src/big.c": big})
    # Nothing calls it, so the linker leaves it out, and all fits.
    build(folder, _with_ram(M7, 4096))
    main = (folder / "port" / "main.c").read_text()
    main = main.replace(
        "int main(void)\n{", "int used(int i);\nint main(void)\n{\n    (void)used(3);"
    )
    (folder / "port" / "main.c").write_text(main)
    with pytest.raises(BudgetError, match="does not fit the memory") as caught:
        build(folder, _with_ram(M7, 32768))
    assert "region `RAM' overflowed" in (caught.value.detail or "")
    # 36,000 and some bytes fit 36,864, but then nothing is left for the stack.
    with pytest.raises(BudgetError) as caught:
        build(folder, _with_ram(M7, 36864))
    assert "leaves less than 1024 bytes of stack" in (caught.value.detail or "")
    assert caught.value.exit_code == 6


def test_folder_without_manifest(program_folder: MakeFolder) -> None:
    folder = program_folder("hello", M7)
    (folder / "manifest.json").unlink()
    with pytest.raises(UsageError, match="does not tell the model's name"):
        build(folder, M7)
    assert build(folder, M7, name="hello").name == "hello.elf"


def test_clang_writes_no_call_graph(program_folder: MakeFolder) -> None:
    program = build(program_folder("hello", HOST), HOST, compiler="clang")
    with pytest.raises(ToolchainError, match="wrote no call graph"):
        call_graph(program)


def test_a_make_around_it_does_not_disturb(
    program_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKEFLAGS", "n --jobserver-auth=3,4")
    monkeypatch.setenv("CFLAGS", "-DTT_INSTRUCTIONS_PER_TICK_X4=9 --no-such-flag")
    assert os.access(build(program_folder("hello", M7), M7), os.R_OK)


def test_a_full_disk_is_one_sentence() -> None:
    said = "/tmp/a.s: Assembler messages:\n/tmp/a.s: Fatal error: a.o: No space left on device\n"
    assert str(disk_full(said, Path("out"))) == (
        "the compiler cannot write: No space left on device\n"
        "  at: out\n"
        "  help: make room on the disk"
    )
    assert disk_full("a.c:1: error: expected ';'", Path("out")) is None
