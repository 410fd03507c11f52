"""Tries every model file of some folders: is it taken, are its outputs right, does it learn.

    .venv/bin/python -m bench.try_models FOLDER... [--json FILE] [--only TEXT]

A line for each file as soon as it is known, a summary for each folder at the end. docs/models.md
says what is compared with what. One process, as runs side by side only share the processor.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from bench.trial.trial import AGREEMENT, CORRELATION, Trial, try_model

SUFFIXES = frozenset({".onnx", ".tflite", ".pt2"})
HEAD = (
    "file", "verdict", "proof", "inputs", "left out", "argmax", "correlation", "loss", "falls", "s",
)  # fmt: skip


def main() -> int:
    """Prints a Markdown table for each folder."""
    parser = argparse.ArgumentParser(description="try every model file of some folders")
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="or a model file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything that is known")
    parser.add_argument("--only", default="", metavar="TEXT", help="files whose name holds it")
    options = parser.parse_args()
    found: dict[str, list[Trial]] = {}
    for folder in options.folders:
        files = [folder] if folder.is_file() else sorted(folder.iterdir())
        print(f"\n## {folder}\n\n{_line(HEAD)}\n{_line(['---'] * len(HEAD))}", flush=True)
        trials = found.setdefault(str(folder), [])
        for path in files:
            if path.suffix in SUFFIXES and options.only in path.name:
                trials.append(try_model(path))
                print(_row(trials[-1]), flush=True)
        print(_refusals(trials), flush=True)
    for folder, trials in found.items():
        print(f"{folder}: {_summary(trials)}")
    if options.json is not None:
        text = {folder: [trial.to_json() for trial in trials] for folder, trials in found.items()}
        options.json.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
    return 0


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _row(trial: Trial) -> str:
    training = trial.training
    return _line([
        trial.file,
        _verdict(trial),
        trial.proof,
        f"{trial.count} {trial.inputs}" if trial.count else "",
        str(trial.left_out or ""),
        "" if trial.agreement is None else f"{trial.agreement:.3f}",
        "" if trial.correlation is None else f"{trial.correlation:.4f}",
        "" if training is None else f"{training.before:.4g} to {training.after:.4g}",
        "" if training is None else "yes" if training.falls else "no",
        f"{trial.seconds:.1f}",
    ])  # fmt: skip


def _verdict(trial: Trial) -> str:
    if trial.stage is not None:
        return f"refused by {trial.stage}"
    return "taken, right" if trial.is_right else "taken"


def _refusals(trials: list[Trial]) -> str:
    lines = [
        f"- {trial.file}: {reason}"
        for trial in trials
        if not trial.taken
        for reason in trial.reasons
    ] + [
        f"- {trial.file}: {' '.join(trial.training.warnings) or 'the loss does not fall'}"
        for trial in trials
        if trial.training is not None and not trial.training.falls
    ]
    return "\n" + "\n".join(lines) + "\n"


def _summary(trials: list[Trial]) -> str:
    taken = [trial for trial in trials if trial.taken]
    compared = [trial for trial in taken if trial.correlation is not None]
    right = sum(trial.is_right for trial in compared)
    return (
        f"{len(taken)} of {len(trials)} taken; {right} of {len(compared)} that could be compared "
        f"agree (argmax {AGREEMENT:.0%}, correlation {CORRELATION}); the loss of "
        f"{sum(trial.learns for trial in taken)} of {len(taken)} falls"
    )


if __name__ == "__main__":
    # NumPy's threads only disturb each other where arrays are small.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
