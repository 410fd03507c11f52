"""Programs of `compile --link` that run here, each behind a pseudo-terminal."""

from __future__ import annotations

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
