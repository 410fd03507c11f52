"""Folders as `tinytrain compile` writes them, around small programs made for one question."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.surroundings import HANGS
from tinytrain.target import Target, list_targets, load_target
from tinytrain.toolchain.build_files import makefile, port_files, program_lists
from tinytrain.toolchain.package_files import Package
from tinytrain.toolchain.sections import measure

PROGRAMS = ROOT / "tests" / "targets" / "programs"
EMULATED = [name for name in list_targets() if load_target(name).machine]


@dataclass(frozen=True)
class Run:
    """What a program did."""

    code: int
    lines: list[str]
    errors: str


@pytest.fixture
def program_folder(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder around `programs/NAME.c`, called like it.

    Arguments of the function: the program's name, the target, and further files by their path.
    """

    def make(name: str, target: Target, files: Mapping[str, str] | None = None) -> Path:
        folder = tmp_path / "folder"
        sources = {"src/part.c": '#include "part.h"\nconst int part[3] = {3, 1, 4};\n'}
        sources |= {
            "src/part.h": "#ifndef PART_H\n#define PART_H\nextern const int part[3];\n#endif\n"
        }
        c_sources = [file for file in {**sources, **(files or {})} if file.endswith(".c")]
        contents = {
            **sources,
            **(files or {}),
            **{f"port/{file}": text for file, text in port_files(target).items()},
            "port/main.c": (PROGRAMS / f"{name}.c").read_text(),
            "include/.keep": "",
            "Makefile": makefile(target, name, c_sources),
            "CMakeLists.txt": program_lists(Package.of(name, [name], c_sources), target),
            "manifest.json": f'{{"name": "{name}"}}',
        }
        shutil.rmtree(folder, ignore_errors=True)
        for file, text in contents.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text)
        return folder

    return make


def execute(program: Path, target: Target, directory: Path) -> Run:
    """Run a program where its target runs, with instruction counting under emulation.

    Emulated RAM is zero to begin with, real RAM is not: .bss is filled before the program starts.
    """
    directory.mkdir(exist_ok=True)
    command = [str(program)]
    if target.machine is not None:
        command = ["qemu-system-arm", "-machine", target.machine, "-nographic"]
        command += ["-semihosting-config", "enable=on,target=native", "-icount", "shift=0"]
        command += ["-kernel", str(program)]
        (bss,) = (section for section in measure(program).sections if section.kind == "bss")
        for address in range(bss.address, bss.address + bss.size - 7, 8):
            value = f"loader,addr={address:#x},data=0xdeadbeefdeadbeef,data-len=8,cpu-num=0"
            command += ["-device", value]
    done = subprocess.run(
        command,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=False,
    )
    return Run(done.returncode, done.stdout.splitlines(), done.stderr)
