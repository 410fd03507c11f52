"""Throws inputs at the generated C, and damaged files at the compiler, for a given time.

    make fuzz [FUZZ_SECONDS=600]
    .venv/bin/python scripts/fuzz.py [--seconds S] [--only WORD] [--cores N]

The C runs under libFuzzer with the address and the undefined-behaviour sanitizer, two programs at a
time unless `--cores` says otherwise; `tests/support/fuzzing.py` has the table of programs and
models. Inputs that end badly are kept in `build/fuzz/finds`: give one to the program beside it to
see it again. Exit code 1 if there are any.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TINYTRAIN_OBJECTS", str(ROOT / "build" / "test-objects"))
os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests.support.fuzzing import TARGETS, Target, built, generated  # noqa: E402

PLACE = ROOT / "build" / "fuzz"
FINDS = PLACE / "finds"
FILES = {
    "data-files": ("fuzz_files.py", "--seconds", 1.0),
    "model-files": ("fuzz_importer.py", "--minutes", 1 / 60),
}
"""What damages files for the compiler: a script, its option for time, and that of a second."""


@dataclass(frozen=True)
class Job:
    """A program, what it is called, and the target that it is of."""

    name: str
    program: Path
    target: Target


@dataclass(frozen=True)
class Outcome:
    """How many inputs ran, how much of the C they reached, and whether one ended badly."""

    name: str
    runs: int
    edges: int
    is_bad: bool
    tail: str


def jobs(word: str) -> list[Job]:
    """Builds what the word is part of the name of."""
    wanted = [
        (target, model)
        for target in TARGETS
        for model in target.models
        if word in f"{target.program}-{model}"
    ]
    folders = {model: generated(model, PLACE) for model in sorted({model for _, model in wanted})}
    return [
        Job(f"{target.program}-{model}", built(target, folders[model], PLACE), target)
        for target, model in wanted
    ]


def fuzz(job: Job, seconds: float) -> Outcome:
    """Runs a program for so long; what it found new stays in `build/fuzz/corpus`."""
    found = PLACE / "corpus" / job.name
    found.mkdir(parents=True, exist_ok=True)
    command = [str(job.program), str(found), str(job.target.corpus)]
    command += [f"-max_total_time={max(1, round(seconds))}", f"-max_len={job.target.longest}"]
    command += ["-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1", "-reload=0"]
    command += [f"-artifact_prefix={FINDS}/{job.name}-"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    runs = re.search(r"stat::number_of_executed_units: (\d+)", done.stderr)
    edges = re.findall(r" cov: (\d+)", done.stderr)
    return Outcome(
        job.name,
        int(runs[1]) if runs else 0,
        int(edges[-1]) if edges else 0,
        done.returncode != 0,
        done.stderr[-6000:],
    )


def damage(name: str, seconds: float) -> Outcome:
    """Runs a script of `FILES` for so long, each time with other damage."""
    script, option, second = FILES[name]
    command = [sys.executable, str(ROOT / "scripts" / script), option, str(seconds * second)]
    done = subprocess.run(
        [*command, "--seed", str(int(time.time()))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    cases = re.search(r"([\d,]+) cases of", done.stdout)
    runs = int(cases[1].replace(",", "")) if cases else 0
    return Outcome(name, runs, 0, done.returncode != 0, done.stdout[-4000:] + done.stderr[-2000:])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600, help="for all of it together")
    parser.add_argument(
        "--only", default="", metavar="WORD", help="programs with this in their name"
    )
    parser.add_argument("--cores", type=int, default=2, help="programs that run at a time")
    return parser.parse_args()


def main() -> int:
    """Builds, runs, and prints a line for each program."""
    options = _options()
    if shutil.which("clang") is None:
        print("fuzz: there is no clang; `make setup` installs it", file=sys.stderr)
        return 1
    FINDS.mkdir(parents=True, exist_ok=True)
    held: list[Callable[[float], Outcome]] = [
        *(partial(fuzz, job) for job in jobs(options.only)),
        *(partial(damage, name) for name in FILES if options.only in name),
    ]
    if not held:
        print(f"fuzz: nothing has '{options.only}' in its name", file=sys.stderr)
        return 2
    started, total, is_bad = time.monotonic(), 0, False
    with ThreadPoolExecutor(options.cores) as pool:
        share = options.cores * options.seconds / len(held)
        for outcome in pool.map(lambda run: run(share), held):
            total += outcome.runs
            reached = f"{outcome.edges:>6,} edges" if outcome.edges else ""
            print(f"{outcome.name:<20} {outcome.runs:>10,} inputs  {reached}", flush=True)
            if outcome.is_bad:
                is_bad = True
                print(f"{outcome.tail}\nkept in {FINDS}", flush=True)
    print(f"{total:,} inputs in {time.monotonic() - started:.0f} s")
    return 1 if is_bad else 0


if __name__ == "__main__":
    sys.exit(main())
