"""What a step in portions costs, and its longest portion, counted on an emulated core.

    .venv/bin/python -m bench.portions [--core NAME] [--shares S...] [--concurrent] [--kept]

MCUNet-5FPS with the 49 KB scheme, compiled once without portions and once for each share, and with
`--concurrent` once more for each, with an inference between portions. With `--kept` once more for
each, with a replay buffer of 4 samples and a rehearsal set of 8: then the step is that of a sample
that is offered to the buffer, and a second table has the steps on kept ones. It needs
`../shared/models`. A portion is counted to 40 instructions.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
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
    """A model, the instructions of each portion of its steps, and of an inference in between."""

    manifest: Manifest
    portions: list[int]
    inference: int | None = None
    replayed: tuple[int, ...] = ()
    rehearsed: tuple[int, ...] = ()

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
        for share in options.shares if options.kept else ():
            cut[f"{share:g}%, kept"] = count(options.core, share / 100, **_kept())
    except TinytrainError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    _show(options.core, plain, cut)
    return 0


def _kept() -> Mapping[str, Any]:
    """Options of a model that keeps samples; what is in them does not matter to their size."""
    x = np.random.default_rng(0).standard_normal((16, 3, 128, 128)).astype(np.float32)
    return {"replay": 4, "rehearse": (x, np.arange(16) % 8), "rehearsal_slots": 8}


def count(core: str, share: float, **options: Any) -> Counted:
    """Compiles the model, and counts its steps on an emulated core."""
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
            **options,
        )
        defines = {
            "MODEL": NAME,
            "MODEL_HEADER": f'"{NAME}.h"',
            "INPUT_SIZE": f"{NAME.upper()}_INPUT_SIZE",
            **({"PORTIONS": "1"} if share else {}),
            **({"CONCURRENT": "1"} if "concurrent" in options else {}),
            **({"KEPT": "1"} if "replay" in options else {}),
        }
        text = "".join(f"#define {name} {value}\n" for name, value in defines.items())
        (folder / MAIN).write_text(text + PROGRAM.read_text(encoding="utf-8"), encoding="utf-8")
        counted = _run(folder, target)
        if "replay" in options:
            first, second = (k for k, counts in enumerate(counted) if counts == 0)
            parts = counted[first + 1 : second], counted[second + 1 :]
            return Counted(product.manifest, counted[:first], None, *map(tuple, parts))
        inference = counted.pop() if "concurrent" in options else None
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
    parser.add_argument("--kept", action="store_true")
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
    _show_kept({share: found for share, found in cut.items() if found.replayed})


def _show_kept(cut: dict[str, Counted]) -> None:
    if not cut:
        return
    table = Table(title="steps on kept samples", box=box.SIMPLE_HEAD)
    for column in ("--portions", "step on", "portions", "longest", "first", "step M", "estimated"):
        table.add_column(column, justify="right")
    for share, found in cut.items():
        record = found.manifest.portions
        for kind, counts in (("replay", found.replayed), ("rehearsal", found.rehearsed)):
            table.add_row(
                share,
                kind,
                str(len(counts)),
                f"{max(counts):,}",
                f"{counts[0]:,}",
                f"{sum(counts) / 1e6:.2f}",
                f"{record.kept / 1e6:.2f}" if record else "",
            )
    Console(width=140).print(table)


if __name__ == "__main__":
    sys.exit(main())
