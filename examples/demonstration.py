"""Runs a story through the command line as a user would, and shows what came of it.

Compile, train on the emulated microcontroller, count instructions, train again on this machine to
see whether it comes to the same weights: four commands, printed as they run, so that each can be
repeated by hand. Needs NumPy and Rich, no PyTorch.
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

from tinytrain.target import load_target

ROOT = Path(__file__).resolve().parent.parent

COUNTED_STEPS = 20
"""Steps of the run that counts instructions: a step's number hardly varies, and icount is slow."""

LINE = 78
"""Characters of a printed command's line; longer ones go on in the next."""

BOARD = "nucleo-f746zg"
"""The board that the last line names, with the core that the demo emulates."""

BARS = "▁▂▃▄▅▆▇█"
CURVE = 24
"""Characters of the curve of the loss."""

Samples = tuple[np.ndarray, np.ndarray]
"""Inputs float32 [N, ...] and labels int [N]."""


@dataclass(frozen=True, eq=False)
class Story:
    """What a demo tells and what it gives to the command line.

    Attributes:
        name: of its folder.
        text: the world that changed, and what the device does about it.
        model: the ONNX file.
        target: a target's name.
        ram, flash: its budget as the command line writes it.
        scheme: a preset or a scheme file.
        learning_rate, steps: of the training on the device.
        rehearsal_slots: calibration samples that lie in flash, to train on again after each new
            one; 0 leaves them out.
        calibration: of the old world, for quantization.
        learn: of the new world, to learn from.
        judge: of the new world, to be judged by; nothing of `learn` is in it.
        past: of the old world, to see what the device forgets.
        judge_is, past_is: a few words for each of the last two.
    """

    name: str
    text: str
    model: Path
    target: str
    ram: str
    flash: str
    scheme: str
    learning_rate: float
    steps: int
    rehearsal_slots: int
    calibration: Samples
    learn: Samples
    judge: Samples
    past: Samples
    judge_is: str
    past_is: str


def tell(story: Story, arguments: Sequence[str] | None = None) -> int:
    """Run a story.

    Args:
        arguments: of the command line; None takes the program's own.

    Returns:
        An exit code: 0; that of the command that failed; 1 if emulator and host differ.
    """
    parser = argparse.ArgumentParser(description=story.text)
    parser.add_argument("--steps", type=int, default=story.steps, help="training steps")
    parser.add_argument("--on", choices=("qemu", "host"), default="qemu", help="where it trains")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the order of the samples and of the rounding"
    )
    parser.add_argument(
        "--output", default="build/demo", help="folder for data and C sources (default: build/demo)"
    )
    return _Telling(story, parser.parse_args(arguments), Console(highlight=False)).run()


class _CommandError(Exception):
    """A command gave an exit code other than 0; it has printed why."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, eq=False)
class _Telling:
    story: Story
    options: argparse.Namespace
    console: Console

    def run(self) -> int:
        self.console.print(f"[bold]{self.story.text}[/bold]")
        try:
            return self._run()
        except _CommandError as failed:
            return failed.code

    def _run(self) -> int:
        story, steps = self.story, self.options.steps
        emulated = self.options.on == "qemu"
        files = write_samples(story, Path(self.options.output) / f"{story.name}-data")
        core = load_target(story.target).core.title()
        self._chapter(f"Compile {story.model.name} for a {core} with {story.ram} of RAM")
        folder = self._compile(files["calibration"])
        where = f"on an emulated {core}" if emulated else "on this machine"
        self._chapter(f"Train {where}: {steps:,} steps, one sample a step")
        losses = files["learn"].with_name("losses.txt")
        seed = ("--seed", str(self.options.seed))
        train = ("--data", str(files["learn"]), "--steps", str(steps), *seed)
        new = self._simulate(
            *(folder, self.options.on, *train, "--eval", str(files["judge"])),
            *("--losses", str(losses)),
        )
        counted: Mapping[str, Any] = {}
        if emulated:
            self._chapter("Count instructions in a short run")
            few = str(files["count"])
            counted = self._simulate(
                *(folder, "qemu", "--data", few, "--eval", few),
                *("--steps", str(COUNTED_STEPS), "--icount"),
            )
        self._chapter(f"Train once more on this machine, judged by {story.past_is}")
        old = self._simulate(folder, "host", *train, "--eval", str(files["past"]))
        curve = [float(line) for line in (ROOT / losses).read_text().split()]
        self._report(folder, new, old, counted, curve)
        self._suggest(folder, files)
        if new["weights_sha256"] != old["weights_sha256"]:
            print("the two trainings did not come to the same weights", file=sys.stderr)
            return 1
        return 0

    def _chapter(self, title: str) -> None:
        self.console.print(f"\n[bold]{title}[/bold]")

    def _compile(self, calibration: Path) -> str:
        story = self.story
        folder = str(Path(self.options.output) / story.name)
        slots = story.rehearsal_slots
        self._command(
            *("compile", str(story.model.relative_to(ROOT)), "-o", folder),
            *("--target", story.target, "--ram", story.ram, "--flash", story.flash),
            *("--scheme", story.scheme, "--calibration", str(calibration)),
            *("--learning-rate", f"{story.learning_rate:g}", "--schedule", "constant"),
            *("--seed", str(self.options.seed), "--link"),
            *(("--rehearsal-slots", str(slots)) if slots else ()),
        )
        return folder

    def _simulate(self, folder: str, on: str, *arguments: str) -> dict[str, Any]:
        printed = self._command("simulate", folder, "--on", on, *arguments, "--json", capture=True)
        return dict(json.loads(printed))

    def _command(self, *arguments: str, capture: bool = False) -> str:
        program = _tinytrain()
        self.console.print("\n".join(_lines([str(program), *arguments])), soft_wrap=True)
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

    def _report(
        self,
        folder: str,
        new: Mapping[str, Any],
        old: Mapping[str, Any],
        counted: Mapping[str, Any],
        losses: Sequence[float],
    ) -> None:
        story = self.story
        self._chapter(f"What {len(losses):,} steps did")
        learned = Table()
        learned.add_column("accuracy on")
        for column in ("samples", "before", "after"):
            learned.add_column(column, justify="right")
        for words, samples, shown in (
            (story.judge_is, story.judge, new),
            (story.past_is, story.past, old),
        ):
            ends = (f"{shown[f'accuracy_{end}']:.1%}" for end in ("before", "after"))
            learned.add_row(words, f"{len(samples[1]):,}", *ends)
        self.console.print(learned)
        manifest = json.loads((ROOT / folder / "manifest.json").read_text(encoding="utf-8"))
        facts = Table(show_header=False)
        if None not in (new["loss_first"], new["loss_last"]):
            facts.add_row(
                "loss", f"{new['loss_first']:.3f} {_curve(losses)} {new['loss_last']:.3f}"
            )
        for memory, name in (("ram", "RAM"), ("flash", "flash")):
            used, budget = manifest[memory]["total"], manifest["budget"][memory]
            share = f"{used / budget:.0%} of the budget of {budget:,}"
            facts.add_row(name, f"{used:,} bytes, {share}")
        rehearsal = manifest["rehearsal"]
        if rehearsal:
            facts.add_row(
                "rehearsal set",
                f"{rehearsal['bytes']:,} bytes of it: {rehearsal['slots']} samples of before",
            )
        for name, figure in (
            ("training step", "step"),
            ("step on the set", "rehearsal_step"),
            ("inference", "inference"),
        ):
            if counted.get(f"instructions_per_{figure}"):
                facts.add_row(name, f"{counted[f'instructions_per_{figure}']:,} instructions")
        same = new["weights_sha256"] == old["weights_sha256"]
        places = "emulator and host" if self.options.on == "qemu" else "both runs"
        verdict = "the same on" if same else "NOT the same on"
        facts.add_row("weights", f"SHA-256 {new['weights_sha256'][:12]}…, {verdict} {places}")
        facts.add_row("C sources", f"{folder} (src, include, port)")
        self.console.print(facts)

    def _suggest(self, folder: str, files: Mapping[str, Path]) -> None:
        program = str(_tinytrain())
        model, data, judge = self.story.model.relative_to(ROOT), files["learn"], files["judge"]
        twice = 2 * self.options.steps
        self._chapter("To try next")
        for line in (
            f"{program} inspect {model}",
            f"{program} targets",
            f"{program} simulate {folder} --data {data} --eval {judge} --steps {twice}",
            f"make -C {folder}",
        ):
            words = line.split()
            self.console.print("\n".join(_lines(words)), soft_wrap=True)
        self._chapter(f"To put it on a board (another one: --board, `{program} targets`)")
        flash = ["flash", folder, "--board", BOARD]
        self.console.print("\n".join(_lines([program, *flash])), soft_wrap=True)


def _lines(words: Sequence[str]) -> list[str]:
    """A command as a shell reads it, broken between words; an option keeps its value."""
    lines = ["  $"]
    groups: list[list[str]] = []
    for word in map(shlex.quote, words):
        if groups and groups[-1][0].startswith("-") and not word.startswith("-"):
            groups[-1].append(word)
        else:
            groups.append([word])
    for text in map(" ".join, groups):
        if len(f"{lines[-1]} {text} \\") > LINE:
            lines[-1] += " \\"
            lines.append("     ")
        lines[-1] += f" {text}"
    return lines


def _curve(losses: Sequence[float]) -> str:
    """Means of equal parts of the losses as a line of bars, the highest a full one."""
    parts = [part.mean() for part in np.array_split(np.array(losses), min(CURVE, len(losses)))]
    top = max(parts)
    scaled = (min(int(len(BARS) * part / top), len(BARS) - 1) if top > 0 else 0 for part in parts)
    return "".join(BARS[level] for level in scaled)


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


def write_samples(story: Story, folder: Path) -> dict[str, Path]:
    """Write a story's samples as .npz files with `x` and `y`.

    Args:
        folder: under ROOT unless absolute; made if it is missing.

    Returns:
        The files of "calibration", "learn", "judge", "past" and "count", the last one with the
        first COUNTED_STEPS samples to learn from; relative if `folder` is.
    """
    (ROOT / folder).mkdir(parents=True, exist_ok=True)
    x, y = story.learn
    parts = {name: getattr(story, name) for name in ("calibration", "learn", "judge", "past")}
    parts["count"] = x[:COUNTED_STEPS], y[:COUNTED_STEPS]
    for name, (x, y) in parts.items():
        np.savez(ROOT / folder / f"{name}.npz", x=x, y=y)
    return {name: folder / f"{name}.npz" for name in parts}


def spread(count: int, wanted: int) -> Sequence[int]:
    """`wanted` indices evenly over 0 .. count - 1, or all of them where there are fewer."""
    return [int(i) for i in np.linspace(0, count - 1, min(count, wanted)).round()]
