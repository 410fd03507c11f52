"""The table of library functions' stack against the libraries' machine code."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

from tests.support.disassembly import library_stack
from tinytrain import resources
from tinytrain.target import list_targets, load_target
from tinytrain.target.architecture import CORTEX_M, RISCV
from tinytrain.toolchain.external_stack import EXTERNALS, HOST_BOUND, external_bound

CORES = {
    load_target(name).cflags: name
    for name in list_targets()
    if load_target(name).architecture in (CORTEX_M, RISCV)
}
PICOLIBC = Path("/usr/lib/picolibc/riscv64-unknown-elf/lib")


def _tool(flags: tuple[str, ...], name: str) -> str:
    return load_target(CORES[flags]).compiler.removesuffix("gcc") + name


def _told(flags: tuple[str, ...], query: str) -> str:
    command = [_tool(flags, "gcc"), *flags, query]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _library(flags: tuple[str, ...]) -> Path:
    if "-mthumb" in flags:
        return Path(_told(flags, "-print-file-name=libc_nano.a")).resolve()
    return PICOLIBC / _told(flags, "-print-multi-directory") / "libc.a"


@cache
def _assembly(flags: tuple[str, ...]) -> Path:
    """The sources with the runtime's assembly as one object."""
    runtime = resources.folder("runtime_c")
    output = Path(tempfile.mkdtemp()) / "assembly.o"
    command = [_tool(flags, "gcc"), *flags, "-std=c11", "-O2", "-I", runtime / "include"]
    sources = [
        source
        for source in sorted(runtime.glob("src/*.c"))
        if '"tt_assembly_dsp.h"' in source.read_text(encoding="utf-8")
    ]
    subprocess.run([*command, "-nostdlib", "-r", "-o", output, *sources], check=True)
    return output


@cache
def _stack(archive: Path, objdump: str) -> dict[str, int]:
    return library_stack(archive, EXTERNALS, objdump)


def _of_core(flags: tuple[str, ...]) -> dict[str, int]:
    archives = [Path(_told(flags, "-print-libgcc-file-name")).resolve(), _library(flags)]
    if "-mthumb" in flags:
        archives.append(_assembly(flags))
    found: dict[str, int] = {}
    for archive in archives:
        found |= _stack(archive, _tool(flags, "objdump"))
    return found


@pytest.mark.parametrize("flags", CORES, ids=CORES.values())
def test_no_function_needs_more_than_the_table_says(flags: tuple[str, ...]) -> None:
    found = _of_core(flags)
    division = "__aeabi_ldivmod" if "-mthumb" in flags else "__divdi3"
    assert {"memcpy", "memset", division} <= set(found)
    bounds = {name: external_bound(name, host=False) for name in found}
    assert {n: (size, bounds[n]) for n, size in found.items() if size > (bounds[n] or 0)} == {}


def test_every_entry_exists_and_is_not_far_off() -> None:
    largest: dict[str, int] = {}
    for flags in CORES:
        for name, size in _of_core(flags).items():
            largest[name] = max(size, largest.get(name, 0))
    assert set(largest) == set(EXTERNALS)
    for name, size in largest.items():
        assert (external_bound(name, host=False) or 0) <= size + 16, name


def test_disassembly_sees_a_known_frame(tmp_path: Path) -> None:
    """The judge itself: pushes, float pushes, sub sp and callees add up; a loop counts once."""
    source = tmp_path / "known.s"
    source.write_text(
        """
        .syntax unified
        .thumb
        .text
        .global outer, other
        .type outer, %function
        .type other, %function
        .type inner, %function
        .thumb_func
        other:
        .thumb_func
        outer: push {r4-r7, lr}
               vpush {d8-d9}
               sub sp, #24
        again: subs r0, #1
               bne again
               bl inner
               add sp, #24
               vpop {d8-d9}
               pop {r4-r7, pc}
        .thumb_func
        inner: str r1, [sp, #-8]!
               add sp, #8
               bx lr
        """
    )
    assemble = ["arm-none-eabi-as", "-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", str(source)]
    subprocess.run([*assemble, "-o", str(tmp_path / "known.o")], check=True)
    archive = tmp_path / "known.a"
    subprocess.run(["arm-none-eabi-ar", "rc", str(archive), str(tmp_path / "known.o")], check=True)
    expected = 20 + 16 + 24 + 8
    assert library_stack(archive, ["outer", "other", "inner", "none"]) == {
        "outer": expected,
        "other": expected,
        "inner": 8,
    }


def test_unknown_functions_have_no_bound() -> None:
    assert external_bound("printf", host=False) is None
    assert external_bound("printf", host=True) == HOST_BOUND
    assert external_bound("__builtin_memcpy", host=False) == external_bound("memcpy", host=False)
