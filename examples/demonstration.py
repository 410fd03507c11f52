"""Runs a story through the command line as a user would, and shows what came of it.

Compile, train on the emulated microcontroller, count instructions: three commands, printed as they
run, so that each can be repeated by hand. Needs NumPy and Rich, no PyTorch.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent

COUNTED_STEPS = 20
"""Steps of the run that counts instructions: a step's number hardly varies, and icount is slow."""


@dataclass(frozen=True, eq=False)
class Story:
    """What a demo tells and what it gives to the command line.

    Attributes:
        name: of the folder under build/demo.
        text: two sentences: the world that changed, and what the device does about it.
        model: the ONNX file.
        target, ram: a target's name, and its RAM budget as the command line writes it.
        scheme: a preset or a scheme file.
        learning_rate, steps: of the training on the device.
        calibration, learn, judge: samples and labels: of the old world, for quantization; of the
            new world, to learn from; of the new world, to be judged by.
    """

    name: str
    text: str
    model: Path
    target: str
    ram: str
    scheme: str
    learning_rate: float
    steps: int
    calibration: tuple[np.ndarray, np.ndarray]
    learn: tuple[np.ndarray, np.ndarray]
    judge: tuple[np.ndarray, np.ndarray]


def tell(story: Story) -> int:
    """Run a story.

    Returns:
        An exit code: 0, or that of the command that failed.
    """
    parser = argparse.ArgumentParser(description=story.text)
    parser.add_argument("--steps", type=int, default=story.steps, help="training steps")
    parser.add_argument("--on", choices=("qemu", "host"), default="qemu", help="where it trains")
    options = parser.parse_args()
    return _Telling(story, options.on, options.steps, Console(highlight=False)).run()


class _CommandError(Exception):
    """A command gave an exit code other than 0; it has printed why."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, eq=False)
class _Telling:
    story: Story
    on: str
    steps: int
    console: Console

    def run(self) -> int:
        self.console.print(f"[bold]{self.story.text}[/bold]\n")
        try:
            files = self._write_data()
            folder = self._compile(files["calibration"])
            self.console.print(f"\nTraining for {self.steps} steps, one sample a step:")
            data = ["--data", str(files["learn"])]
            shown = self._simulate(
                folder, *data, "--eval", str(files["judge"]), "--steps", str(self.steps)
            )
            if self.on == "qemu":
                self.console.print("\nCounting instructions:")
                counted = self._simulate(folder, *data, "--steps", str(COUNTED_STEPS), "--icount")
                shown["instructions_per_step"] = counted.get("instructions_per_step")
        except _CommandError as failed:
            return failed.code
        manifest = json.loads((ROOT / folder / "manifest.json").read_text(encoding="utf-8"))
        self._report(folder, shown, manifest)
        self._suggest(folder, files)
        return 0

    def _write_data(self) -> dict[str, Path]:
        folder = Path("build") / "demo" / f"{self.story.name}-data"
        (ROOT / folder).mkdir(parents=True, exist_ok=True)
        files = {}
        for name in ("calibration", "learn", "judge"):
            x, y = getattr(self.story, name)
            files[name] = folder / f"{name}.npz"
            np.savez(ROOT / files[name], x=x, y=y)
        return files

    def _compile(self, calibration: Path) -> Path:
        story = self.story
        folder = Path("build") / "demo" / story.name
        self.console.print(f"Compiling {story.model.name} for {story.target}:")
        self._command(
            *("compile", str(story.model.relative_to(ROOT)), "-o", str(folder)),
            *("--target", story.target, "--ram", story.ram, "--scheme", story.scheme),
            *("--calibration", str(calibration), "--learning-rate", f"{story.learning_rate:g}"),
        )
        return folder

    def _simulate(self, folder: Path, *arguments: str) -> dict[str, Any]:
        printed = self._command(
            "simulate", str(folder), "--on", self.on, *arguments, "--json", capture=True
        )
        return dict(json.loads(printed))

    def _command(self, *arguments: str, capture: bool = False) -> str:
        program = _tinytrain()
        self.console.print("  $ " + shlex.join([str(program), *arguments]), soft_wrap=True)
        # Progress and errors go to standard error, which stays the terminal's.
        done = subprocess.run(
            [str(ROOT / program), *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE if capture else None,
            text=True,
            check=False,
        )
        if done.returncode:
            raise _CommandError(done.returncode)
        return done.stdout or ""

    def _report(self, folder: Path, shown: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
        result = Table(title="What it learned", title_justify="left")
        result.add_column("")
        result.add_column("before", justify="right")
        result.add_column("after", justify="right")
        for label, name in (
            ("accuracy on held-out data", "accuracy"),
            ("loss, first and last steps", "loss"),
        ):
            ends = ("before", "after") if name == "accuracy" else ("first", "last")
            values = [shown.get(f"{name}_{end}") for end in ends]
            result.add_row(label, *("-" if value is None else f"{value:.3f}" for value in values))
        self.console.print()
        self.console.print(result)
        for memory in ("ram", "flash"):
            sizes = manifest.get(memory, {})
            budget = self.story.ram if memory == "ram" else sizes.get("budget")
            self.console.print(_sizes(memory, sizes, budget))
        count = shown.get("instructions_per_step")
        if count is not None:
            self.console.print(f"Instructions of a training step: {count:,}")
        self.console.print(f"C sources: {folder}/src, public headers: {folder}/include")

    def _suggest(self, folder: Path, files: Mapping[str, Path]) -> None:
        program, data = _tinytrain(), files["learn"]
        self.console.print("\nTo try next:")
        for line in (
            f"{program} inspect {self.story.model.relative_to(ROOT)}",
            f"{program} targets",
            f"{program} simulate {folder} --on host --data {data} --eval {files['judge']} "
            f"--steps {2 * self.steps}",
            f"make -C {folder}",
        ):
            self.console.print(f"  $ {line}", soft_wrap=True)


def _tinytrain() -> Path:
    """The command beside the Python that runs this, as a path from the repository's root.

    Raises:
        SystemExit: there is none.
    """
    beside = Path(sys.executable).parent / "tinytrain"
    if not beside.exists():
        found = shutil.which("tinytrain")
        if found is None:
            raise SystemExit("the command tinytrain is not installed here; run: make setup")
        beside = Path(found)
    return beside.relative_to(ROOT) if beside.is_relative_to(ROOT) else beside


def _sizes(memory: str, sizes: Mapping[str, Any], budget: str | int | None) -> Table:
    """The parts of one memory, their total, and the budget it was compiled for."""
    title = memory.upper() if memory == "ram" else memory.capitalize()
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column("part")
    table.add_column("bytes", justify="right")
    for part, size in sizes.items():
        if isinstance(size, int) and part not in ("total", "budget"):
            table.add_row(part.replace("_", " "), f"{size:,}")
    table.add_section()
    if isinstance(sizes.get("total"), int):
        table.add_row("total", f"{sizes['total']:,}", style="bold")
    if budget is not None:
        table.add_row("budget", f"{_bytes(budget):,}")
    return table


def _bytes(size: str | int) -> int:
    """Bytes of a size as the command line writes it (4096, 256K, 1M) or as a manifest does."""
    text = str(size)
    units = {"K": 1024, "M": 1024**2}
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)


def spread(count: int, wanted: int) -> Sequence[int]:
    """`wanted` indices evenly over 0 .. count - 1, or all of them where there are fewer."""
    return [int(i) for i in np.linspace(0, count - 1, min(count, wanted)).round()]
