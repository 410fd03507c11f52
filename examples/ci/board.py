"""Hardware in the loop: does a board learn what this machine learns, to the bit?

Compiles a model with its link and its test of itself, puts the program on a board (or under QEMU),
lets it prove itself, trains 100 steps over the serial line, and compares the SHA-256 of the weights
with that of the same session on this machine. Exit code 0: they are equal.

    python examples/ci/board.py --model own.onnx --data learn.npz --calibration own.npz \\
        --target nucleo-h743zi --port /dev/ttyACM0 --runner pyocd
    python examples/ci/board.py --model own.onnx --data learn.npz --calibration own.npz \\
        --target mps2-an500 --qemu mps2-an500
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import tinytrain
from tinytrain.target import load_target
from tinytrain.toolchain.build import build


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what the command line asks for; gives the exit code."""
    asked = _arguments(arguments)
    with tempfile.TemporaryDirectory(prefix="board-") as place:
        folder = Path(place, "model")
        product = tinytrain.compile_model(
            asked.model,
            output=folder,
            target=asked.target,
            calibration=asked.calibration,
            scheme=asked.scheme,
            link=True,
            self_test=True,
        )
        ram, flash = product.manifest.ram["total"], product.manifest.flash["total"]
        print(f"compiled: {ram:,} bytes of RAM, {flash:,} of flash")
        target = load_target(asked.target)
        program = build(folder, target, variant="link", link=True).resolve()
        here = tinytrain.simulate(folder, data=asked.data, steps=asked.steps)
        print(f"here:  {here.weights_sha256}")
        with _board(asked, folder, program) as port:
            # The board proves itself before the first step.
            there = tinytrain.simulate(
                folder, on=f"serial:{port}", data=asked.data, steps=asked.steps
            )
    print(f"board: {there.weights_sha256}")
    if there.board is not None and there.board.ms_per_step is not None:
        print(f"{there.board.ms_per_step:.3g} ms a step")
    if there.weights_sha256 != here.weights_sha256:
        print("the board learned something else than this machine", file=sys.stderr)
        return 1
    return 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compares what a board learns with this machine.")
    parser.add_argument("--model", required=True, help="what tinytrain compiles")
    parser.add_argument("--data", required=True, help="labelled samples, .npz")
    parser.add_argument("--calibration", help="samples that a float model needs, .npz")
    parser.add_argument("--target", required=True, help="of tinytrain, by name or file")
    parser.add_argument("--scheme", default="full", help="what is trained")
    parser.add_argument("--steps", type=int, default=100)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", help="serial port of the board")
    where.add_argument("--qemu", metavar="MACHINE", help="QEMU's machine in place of a board")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--runner", help="of `tinytrain flash`, which puts the program there")
    how.add_argument("--flash", metavar="COMMAND", help="puts {elf} on a board that it cannot")
    return parser.parse_args(arguments)


@contextmanager
def _board(asked: argparse.Namespace, folder: Path, program: Path) -> Iterator[str]:
    """The serial port of a board that runs the program of a folder."""
    if asked.qemu:
        with _emulated(asked.qemu, program) as port:
            yield port
        return
    if asked.runner:
        tinytrain.flash(folder, runner=asked.runner)
    elif asked.flash:
        command = [part.format(elf=program) for part in shlex.split(asked.flash)]
        print(shlex.join(command))
        subprocess.run(command, check=True)
    yield asked.port


@contextmanager
def _emulated(machine: str, program: Path) -> Iterator[str]:
    """QEMU with the UART of its board behind a pseudo-terminal."""
    command = ["qemu-system-arm", "-machine", machine, "-display", "none", "-monitor", "none"]
    command += ["-serial", "pty", "-kernel", str(program)]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"redirected to (\S+)", said)
        if found is None:
            raise SystemExit(f"QEMU offers no serial port: {said}")
        yield found[1]
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    sys.exit(main())
