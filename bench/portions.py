"""What a step in portions costs, and its longest portion, counted on an emulated core.

    .venv/bin/python -m bench.portions [--core NAME] [--shares S...] [--concurrent]

MCUNet-5FPS with the 49 KB scheme, compiled once without portions and once for each share, and with
`--concurrent` once more for each, with an inference between portions. It needs `../shared/models`.
A portion is counted to 40 instructions.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from tinytrain.compiler.compile import compile_model
from tinytrain.errors import TinytrainError
from tinytrain.manifest import Manifest
from tinytrain.target import Target, load_target
from tinytrain.toolchain.build import build
from tinytrain.toolchain.build_files import MAIN
from tinytrain.toolchain.emulator import emulator_command

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT.parent / "shared" / "models" / "mcunet-5fps-int8.onnx"
SCHEME = ROOT / "examples" / "schemes" / "mcunet-5fps-49kb.toml"
PROGRAM = ROOT / "bench" / "c" / "portions_main.c"
NAME = "net"


@dataclass(frozen=True)
class Counted:
    """A model, and the instructions of each portion of its step, and of an inference in between."""

    manifest: Manifest
    portions: list[int]
    inference: int | None

    @property
    def step(self) -> int:
        """Instructions of the step."""
        return sum(self.portions)

    @property
    def worst(self) -> int:
        """Of its longest portion."""
        return max(self.portions)


def main() -> int:
    """Print the table; 2 if the model is not there."""
    options = _options()
    if not MODEL.exists():
        print(f"{MODEL.name} is not in ../shared/models", file=sys.stderr)
        return 2
    try:
        plain = count(options.core, 0.0)
        cut = {f"{share:g}%": count(options.core, share / 100) for share in options.shares}
        for share in options.shares if options.concurrent else ():
            beside = count(options.core, share / 100, concurrent=True)
            cut[f"{share:g}% --concurrent"] = beside
    except TinytrainError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    _show(options.core, plain, cut)
    return 0


def count(core: str, share: float, *, concurrent: bool = False) -> Counted:
    """Compiles the model, and counts a step on an emulated core."""
    print(f"{core}: portions of {share:.2%}", file=sys.stderr)
    target = load_target(core)
    with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
        folder = Path(place) / "model"
        product = compile_model(
            str(MODEL),
            output=folder,
            target=core,
            scheme=str(SCHEME),
            name=NAME,
            portions=share,
            concurrent=concurrent,
        )
        defines = {
            "MODEL": NAME,
            "MODEL_HEADER": f'"{NAME}.h"',
            "INPUT_SIZE": f"{NAME.upper()}_INPUT_SIZE",
            **({"PORTIONS": "1"} if share else {}),
            **({"CONCURRENT": "1"} if concurrent else {}),
        }
        text = "".join(f"#define {name} {value}\n" for name, value in defines.items())
        (folder / MAIN).write_text(text + PROGRAM.read_text(encoding="utf-8"), encoding="utf-8")
        counted = _run(folder, target)
        inference = counted.pop() if concurrent else None
        return Counted(product.manifest, counted, inference)


def _run(folder: Path, target: Target) -> list[int]:
    firmware = build(folder, target, name=NAME, variant="portions")
    command = emulator_command(target, firmware, icount=True)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [int(line) for line in done.stdout.split()]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="what a step in portions costs")
    parser.add_argument("--core", default="mps2-an500", metavar="NAME")
    parser.add_argument("--concurrent", action="store_true")
    parser.add_argument("--shares", nargs="+", type=float, default=[100.0, 2.0, 1.0, 0.85, 0.5])
    return parser.parse_args()


def _show(core: str, plain: Counted, cut: dict[str, Counted]) -> None:
    table = Table(title=f"a training step on {core}", box=box.SIMPLE_HEAD)
    for column in ("--portions", "portions", "longest", "of a step", "step M", "more"):
        table.add_column(column, justify="right")
    for column in ("flash", "RAM", "stack", "inference M", "its arena"):
        table.add_column(column, justify="right")
    for share, found in ({"0%": plain} | cut).items():
        manifest = found.manifest
        table.add_row(
            share,
            str(len(found.portions)),
            f"{found.worst:,}",
            f"{found.worst / found.step:.2%}",
            f"{found.step / 1e6:.2f}",
            f"{found.step / plain.step - 1:+.2%}",
            f"{manifest.flash['total'] - plain.manifest.flash['total']:+,}",
            f"{manifest.ram['total'] - plain.manifest.ram['total']:+,}",
            f"{manifest.ram['stack']:,}",
            "" if found.inference is None else f"{found.inference / 1e6:.2f}",
            f"{manifest.ram.get('concurrent arena', 0):,}",
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    sys.exit(main())
