"""Folders as `tinytrain compile` writes them, around small programs made for one question."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.surroundings import HANGS
from tinytrain.simulation.serial_files import SerialFiles
from tinytrain.target import Target, list_targets, load_target
from tinytrain.toolchain.build_files import makefile, port_files, program_lists
from tinytrain.toolchain.emulator import emulator_command
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
        # A model never comes without something of the runtime.
        sources |= {"src/tt_part.c": "extern const int tt_part;\nconst int tt_part = 1;\n"}
        c_sources = [file for file in {**sources, **(files or {})} if file.endswith(".c")]
        contents = {
            **sources,
            **(files or {}),
            **{f"port/{file}": text for file, text in port_files(target).items()},
            "port/main.c": (PROGRAMS / f"{name}.c").read_text(),
            "include/.keep": "",
            "Makefile": makefile(target, name, c_sources),
            "CMakeLists.txt": program_lists(Package.of(name, {name: c_sources}), target),
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
    if target.machine is None:
        return _run([str(program)], directory)
    command = emulator_command(target, program, icount=True)
    for bss in (section for section in measure(program).sections if section.kind == "bss"):
        for address in range(bss.address, bss.address + bss.size - 7, 8):
            value = f"loader,addr={address:#x},data=0xdeadbeefdeadbeef,data-len=8,cpu-num=0"
            command += ["-device", value]
    return (_run_over_serial if target.files_over_serial else _run)(command, directory)


def _run(command: Sequence[str], directory: Path) -> Run:
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


def _run_over_serial(command: Sequence[str], directory: Path) -> Run:
    """Serves the program's files over the serial line until it says that it ends."""
    files, text = SerialFiles(directory), b""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    try:
        while files.code is None:
            block = os.read(process.stdout.fileno(), 1 << 16)
            assert block, (text, files.errors)
            text += files.feed(block)
            process.stdin.write(files.answer)
            process.stdin.flush()
            files.answer.clear()
    finally:
        process.kill()
        process.communicate()
        files.close()
    return Run(files.code, text.decode().splitlines(), files.errors.decode())
