"""Programs of `compile --link` that run here, each behind a pseudo-terminal."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tests.support.paths import ROOT
from tinytrain.target import load_target
from tinytrain.toolchain.build import build

DIGITS = ROOT / "examples" / "digits" / "digits.onnx"
X = np.random.default_rng(0).random((24, 1, 8, 8), dtype=np.float32)
Y = np.random.default_rng(1).integers(0, 10, 24)


@contextmanager
def host_board(folder: Path, *, flags: Sequence[str] = (), variant: str = "link") -> Iterator[str]:
    """The program of a folder on this machine; gives the path of its pseudo-terminal.

    Args:
        flags: further ones of the compiler.
        variant: of the build; other flags need another one.
    """
    target = load_target("host")
    program = build(folder, target, cflags_extra=flags, variant=variant, link=True)
    with running([str(program.resolve())]) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()


@contextmanager
def running(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that ends with the block."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def emulated_board(folder: Path, name: str, *, flags: Sequence[str] = ()) -> Iterator[str]:
    """The same program for a target that QEMU runs, with the UART of its machine behind a
    pseudo-terminal."""
    target = load_target(name)
    program = build(folder, target, cflags_extra=flags, variant=f"link-{name}", link=True)
    command = f"{target.architecture.emulator} -machine {target.machine} -display none"
    arguments = ["-monitor", "none", "-serial", "pty", "-kernel", str(program.resolve())]
    with running([*command.split(), *target.architecture.emulator_flags, *arguments]) as process:
        assert process.stdout is not None
        found = re.search(r"redirected to (\S+)", process.stdout.readline())
        assert found, "QEMU offers no serial port"
        yield found[1]
