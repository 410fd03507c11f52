"""Classes from a handful of samples, beside training the head and more, on the same samples.

    .venv/bin/python -m bench.adapting.handful [CASE ...]

Balanced accuracy on the new world and on the old one, mean over three seeds, in percent. A seed
chooses the samples and their order, and is that of stochastic rounding.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.adapting.cases import CASE, PASSES, Case
from bench.adapting.running import Runner, Scores, compiled
from bench.adapting.worlds import chosen
from tinytrain.manifest import read_manifest

CASES = (
    "watch-2",
    "digits-tilted",
    "digits-both",
    "fashion-classes",
    "vibration-site",
    "cifar10",
    "flowers",
)
OF_EACH = (1, 5, 20, None)
"""Samples of each class; None takes all."""

SEEDS = 3

WAYS: dict[str, dict[str, Any]] = {
    "as it ships": {"scheme": "head"},
    "head trained": {"scheme": "head"},
    "case's scheme": {},
    "ncm": {"scheme": "head", "enrol": "ncm"},
    "knn:64": {"scheme": "head", "enrol": "knn:64"},
    "knn:64:3": {"scheme": "head", "enrol": "knn:64:3"},
}


@dataclass(frozen=True)
class Row:
    """What a way makes of a case.

    Attributes:
        own, old: balanced accuracy for each of `OF_EACH`, percent; of the old world where there is
            one.
        ram: bytes, everything counted.
    """

    way: str
    own: tuple[float, ...]
    old: tuple[float | None, ...]
    ram: int


def after(runner: Runner, way: str, order: np.ndarray) -> tuple[Scores, Scores | None]:
    """Scores of the new world and of the old one once the samples of `order` were learned."""
    library = runner.library
    library.init()
    if "enrol" in WAYS[way]:
        library.enrolment.enrol(runner.learn, order)
        return runner.both_enrolled()
    if way != "as it ships":
        steps = min(runner.case.steps, PASSES * len(order))
        library.train(runner.learn, np.resize(order, steps))
    return runner.both()


def rows(case: Case) -> Iterator[Row]:
    """A row for each way."""
    for way, options in WAYS.items():
        with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
            folder = Path(place) / "model"
            compiled(case, folder, **options)
            runner = Runner(case, folder)
            found = [
                [
                    after(runner, way, chosen(runner.learn.targets, count, seed))
                    for seed in range(SEEDS)
                ]
                for count in OF_EACH
            ]
            yield Row(
                way,
                tuple(100 * float(np.mean([own.balanced for own, _ in of])) for of in found),
                tuple(
                    None
                    if of[0][1] is None
                    else 100 * float(np.mean([s.balanced for _, s in of if s]))
                    for of in found
                ),
                read_manifest(folder).ram["total"],
            )


def text(values: Sequence[float | None]) -> str:
    """Numbers of a cell."""
    return " / ".join("-" if value is None else f"{value:.1f}" for value in values)


def main(keys: Sequence[str]) -> None:
    """Prints a table for each case."""
    for key in keys or CASES:
        case = CASE[key]
        print(f"\n{case.title}: own, and old, after 1, 5, 20 of each class and all\n")
        print("| way | own | old | RAM, bytes |\n|---|---|---|---:|")
        for row in rows(case):
            print(f"| {row.way} | {text(row.own)} | {text(row.old)} | {row.ram:,} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
