"""Throws damaged models at the importer and tells what it did not expect.

    .venv/bin/python scripts/fuzz_importer.py [--minutes M] [--seed S] [--cases N] [--keep DIR]
    .venv/bin/python scripts/fuzz_importer.py --seed S --only CASE --keep DIR

Case number n of a seed is the same file on every machine. Each runs in a forked process with limits
on time and memory, through the importer, quantization and the training graph. Good are a model that
compiles and a `TinytrainError`; everything else is a finding: another exception, an `InternalError`
(a pass that broke its contract), a crash, a process over its limit, anything written to the
terminal. Exit code 1 if there are findings.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fuzz_mutations import damage
from fuzz_seeds import Seed, load_seeds

from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step, to_integers
from tinytrain.errors import InternalError, TinytrainError
from tinytrain.frontend import load_model
from tinytrain.passes.base import Runner
from tinytrain.quantize.passes import is_quantized

SECONDS = 30
"""Of processor time; of real time four times as many, as the machine may be shared."""
MEMORY = 3 * 2**30
"""On top of what the process holds when the case starts."""

_SCHEMES = ("head", "bias", "last-1", "full")


@dataclass(frozen=True)
class Verdict:
    """How a case ended: `stage` reached, and what a finding looked like (None: as it should)."""

    stage: str
    finding: str | None = None
    detail: str = ""


def make_case(seeds: list[Seed], seed: int, number: int) -> tuple[Seed, bytes]:
    """The model that a case damages, and the damaged file."""
    random = np.random.default_rng([seed, number])
    chosen = seeds[int(random.integers(len(seeds)))]
    alike = [other for other in seeds if other.suffix == chosen.suffix]
    other = alike[int(random.integers(len(alike)))]
    return chosen, damage(chosen.data, chosen.suffix, other.data, random)


def compile_case(path: Path, number: int) -> str:
    """Everything before C is written; returns the stage that it came to."""
    model = load_model(path)
    runner = Runner()
    runner.check(model, "import")
    samples = None
    if not is_quantized(model):
        shape = (4, *model.inputs[0].type.shape[1:])
        if np.prod(shape) > 2**20:
            return "imported"
        samples = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        samples = samples.reshape(4, *(1,) * (4 - len(shape)), *shape[1:])
    forward = to_integers(model, samples, Options(ranges="minmax"), runner)
    macs = sum(node.output.type.size for node in forward.nodes)
    if macs > 2**20:
        return "integers"
    build_step(forward, Options(scheme=_SCHEMES[number % len(_SCHEMES)]), runner)
    return "training step"


def run_case(path: Path, number: int) -> Verdict:
    """Runs a case in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _child(path, number, writer)
    os.close(writer)
    deadline = time.monotonic() + 4 * SECONDS
    told = b""
    while (left := deadline - time.monotonic()) > 0 and select.select([reader], [], [], left)[0]:
        block = os.read(reader, 1 << 16)
        if not block:
            break
        told += block
    else:
        os.kill(child, signal.SIGKILL)
    os.close(reader)
    _, status = os.waitpid(child, 0)
    if time.monotonic() >= deadline or os.WTERMSIG(status) == signal.SIGXCPU:
        return Verdict("", f"hang: over {SECONDS} seconds")
    if os.WIFSIGNALED(status):
        return Verdict("", f"crash: signal {os.WTERMSIG(status)}")
    if not told:
        return Verdict("", f"crash: exit code {os.WEXITSTATUS(status)}")
    return Verdict(**json.loads(told))


def _child(path: Path, number: int, writer: int) -> None:
    """Never returns."""
    with open("/proc/self/statm", encoding="ascii") as file:
        held = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    terminal = os.memfd_create("terminal")
    os.dup2(terminal, 1)
    os.dup2(terminal, 2)
    try:
        verdict = Verdict(compile_case(path, number))
    except InternalError as error:
        verdict = _finding(error)
    except TinytrainError as error:
        fault = "a sentence over several lines" if "\n" in error.what else None
        verdict = Verdict(f"refused: {type(error).__name__}", fault, str(error))
    # A finding is whatever else comes, RecursionError and MemoryError included.
    except BaseException as error:
        verdict = _finding(error)
    sys.stdout.flush()
    sys.stderr.flush()
    if verdict.finding is None and os.lseek(terminal, 0, os.SEEK_END):
        os.lseek(terminal, 0, os.SEEK_SET)
        shown = os.read(terminal, 4000).decode(errors="replace")
        verdict = Verdict(verdict.stage, "wrote to the terminal", shown)
    with contextlib.suppress(OSError):
        os.write(writer, json.dumps(vars(verdict)).encode())
    os._exit(0)


def _finding(error: BaseException) -> Verdict:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/tinytrain/" in frame.filename]
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"
    text = "".join(traceback.format_exception(error))[-6000:]
    return Verdict("", f"{type(error).__name__} at {place}", text)


class Tally:
    """Counts verdicts, and shows each kind of finding once, when it first comes."""

    def __init__(self) -> None:
        self.stages: collections.Counter[str] = collections.Counter()
        self.findings: dict[str, list[int]] = {}
        self._started = time.monotonic()

    def add(self, number: int, title: str, verdict: Verdict) -> None:
        """Takes a case; `title` says which file it was."""
        self.stages[verdict.stage or "finding"] += 1
        if verdict.finding is not None:
            known = self.findings.setdefault(verdict.finding, [])
            known.append(number)
            if len(known) == 1:
                print(f"case {number} ({title}): {verdict.finding}\n{verdict.detail}", flush=True)
        if self.stages.total() % 1000 == 0:
            print(f"{self.stages.total()} cases, {len(self.findings)} findings", flush=True)

    def show(self, seed: int) -> None:
        """Prints the totals."""
        seconds = time.monotonic() - self._started
        print(f"{self.stages.total()} cases of seed {seed} in {seconds:.0f} s")
        for stage, count in self.stages.most_common():
            print(f"{count:>8}  {stage}")
        for finding, numbers in self.findings.items():
            print(f"{len(numbers):>8}  {finding}: cases {', '.join(map(str, numbers[:5]))}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60, help="stop after this long")
    parser.add_argument("--cases", type=int, help="stop after so many cases")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", type=int, metavar="CASE", help="run this case alone")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the files of findings here")
    return parser.parse_args()


def _numbers(options: argparse.Namespace) -> Iterator[int]:
    if options.only is not None:
        yield options.only
        return
    end = time.monotonic() + 60 * options.minutes
    number = options.first
    while time.monotonic() < end and number - options.first != options.cases:
        yield number
        number += 1


def main() -> int:
    """Runs the cases and prints what they came to; interrupted, those that were run."""
    options = _options()
    seeds = load_seeds()
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(KeyboardInterrupt):
        # Imported once: a child that imports PyTorch itself takes seconds.
        for seed in seeds:
            path = Path(folder) / f"sound{seed.suffix}"
            path.write_bytes(seed.data)
            compile_case(path, 0)
        for number in _numbers(options):
            seed, data = make_case(seeds, options.seed, number)
            path = Path(folder) / f"model{seed.suffix}"
            path.write_bytes(data)
            verdict = run_case(path, number)
            tally.add(number, f"{seed.name}{seed.suffix}", verdict)
            if options.keep and verdict.finding is not None:
                options.keep.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, options.keep / f"{options.seed}-{number}{seed.suffix}")
    tally.show(options.seed)
    return 1 if tally.findings else 0


if __name__ == "__main__":
    sys.exit(main())
