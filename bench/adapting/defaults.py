"""How near the default comes to the best of nine rates and three schedules.

Each case of `bench.adapting.cases` that learns classes is trained by the C that ships, from the
factory state, with each of 27 variants and three seeds, which are of the order of the samples. A
row is a case and the task that counts: `new` by the accuracy on the new world, `old` by the mean of
that and the accuracy on the old one. The default is the rate that `compile` takes by itself with
that `--keep`, and its schedule. Runs are kept in build/adapting, so that the command goes on where
it was interrupted.

    .venv/bin/python -m bench.adapting.defaults
    .venv/bin/python -m bench.adapting.defaults --only 'watch|digits' --grid
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.adapting.cases import CASES, Case
from bench.adapting.networks import FOLDER
from bench.adapting.running import Runner, compiled, files
from bench.networks import store
from tinytrain.compiler.options import Options

MULTIPLES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Of the rate that removes half of a sample's error in a step, 0.5/(K·h)."""

SCHEDULES = ("constant", "cosine", "settle")
SEEDS = (0, 1, 2)
NEAR = 0.02
"""How far the default may be below the best."""


@dataclass(frozen=True)
class Score:
    """Accuracies after a run, or their means over seeds; `past` is None without an old world."""

    own: float
    past: float | None

    def of(self, keep: str) -> float:
        """What counts."""
        if keep == "new":
            return self.own
        assert self.past is not None, "there is no old task"
        return (self.own + self.past) / 2


class Variants:
    """A case that is trained with one variant after another.

    Args:
        folder: to compile into.
    """

    def __init__(self, case: Case, folder: Path) -> None:
        # Neither the rate nor the schedule is in the C: both are set for each run.
        compiled(case, folder, learning_rate=0.001, schedule="constant")
        self.case, self._runner = case, Runner(case, folder)
        guidance = self._runner.guidance
        self.unit = 0.5 / (guidance.kernel * guidance.curvature)
        self.keeps = ("new",) if self._runner.past is None else ("new", "old")
        data = tuple(path.name for path in files(case).values())
        self.decides = (store.sources(folder, "*.c", "*.h"), *data, case.steps)

    def score(self, rate: float, schedule: str, seed: int) -> Score:
        """Of one run."""
        text = f"cosine:{self.case.steps}" if schedule == "cosine" else schedule

        def find() -> list[float | None]:
            outcome = self._runner.run(rate, text, seed=seed)
            past = outcome.past_after
            return [outcome.own_after.accuracy, None if past is None else past.accuracy]

        decides = (*self.decides, f"{rate:.6g}", text, seed)
        return Score(*store.kept(f"defaults-{self.case.key}", decides, find, folder=FOLDER))

    def mean(self, rate: float, schedule: str) -> Score:
        """Of several seeds."""
        found = [self.score(min(rate, 1024.0), schedule, seed) for seed in SEEDS]
        pasts = [one.past for one in found if one.past is not None]
        own = sum(one.own for one in found) / len(found)
        return Score(own, sum(pasts) / len(pasts) if pasts else None)

    def grid(self) -> dict[tuple[str, float], Score]:
        """The mean of each variant."""
        cells = ((schedule, multiple) for schedule in SCHEDULES for multiple in MULTIPLES)
        return {cell: self.mean(cell[1] * self.unit, cell[0]) for cell in cells}


def default_rate(case: Case, keep: str, folder: Path) -> float:
    """What `compile` takes by itself."""
    return float(compiled(case, folder, keep=keep).manifest.learning_rate)


@dataclass(frozen=True)
class Row:
    """The default of a case beside the best of its variants; `best_is` names that one."""

    title: str
    scheme: str
    keep: str
    rate: float
    multiple: float
    default: float
    best: float
    best_is: str

    @property
    def text(self) -> str:
        """A line of the table."""
        behind = 100 * (self.best - self.default)
        mark = "" if behind <= 100 * NEAR else " (misses)"
        figures = f"{self.rate:g} | {self.multiple:.2g} | {100 * self.default:.1f}"
        return (
            f"| {self.title} | {self.scheme} | {self.keep} | {figures} | {100 * self.best:.1f} | "
            f"{self.best_is} | {-behind:+.1f}{mark} |"
        )


def rows(case: Case, variants: Variants, folder: Path) -> Iterator[Row]:
    """One for each task that can count."""
    found = variants.grid()
    for keep in variants.keeps:
        if keep == "old" and case.classes is not None:
            continue
        rate = default_rate(case, keep, folder)
        default = variants.mean(rate, Options().schedule).of(keep)
        (schedule, multiple), best = max(found.items(), key=lambda cell: cell[1].of(keep))
        yield Row(
            case.title,
            case.scheme,
            keep,
            rate,
            rate / variants.unit,
            default,
            best.of(keep),
            f"{multiple:g}, {schedule}",
        )


def grid_table(variants: Variants) -> Iterator[str]:
    """All variants of a case in percent, a line for each task and schedule."""
    found = variants.grid()
    yield f"\n{variants.case.title}: x1 is {variants.unit:.2g}\n"
    yield "| keep | schedule | " + " | ".join(f"x{one:g}" for one in MULTIPLES) + " |"
    yield "|---|---|" + "---:|" * len(MULTIPLES)
    for keep in variants.keeps:
        for schedule in SCHEDULES:
            cells = [f"{100 * found[schedule, one].of(keep):.1f}" for one in MULTIPLES]
            yield f"| {keep} | {schedule} | {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table, and with --grid those of the variants."""
    parser = argparse.ArgumentParser(description="The default beside the best of 27 variants")
    parser.add_argument("--only", default="", metavar="REGEX", help="cases whose key it is in")
    parser.add_argument("--grid", action="store_true", help="all variants of each case")
    options = parser.parse_args(arguments)
    if not options.grid:
        print("| data | scheme | keep | rate | times 0.5/(K·h) | default | best of 27 | which | |")
        print("|---|---|---|---:|---:|---:|---:|---|---:|", flush=True)
    done: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
        for case in CASES:
            if case.task != "classes" or not re.search(options.only, case.key):
                continue
            variants = Variants(case, Path(place) / "model")
            if options.grid:
                print("\n".join(grid_table(variants)), flush=True)
                continue
            for row in rows(case, variants, Path(place) / "default"):
                done.append(row)
                print(row.text, flush=True)
    if done:
        near = sum(row.best - row.default <= NEAR for row in done)
        print(f"\n{near} of {len(done)} rows are within {100 * NEAR:g} points of the best.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
