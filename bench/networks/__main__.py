"""Networks that people use, trained for real: what they learn on the device, and what it takes.

    .venv/bin/python -m bench.networks learning   personalised on the device, and in float beside it
    .venv/bin/python -m bench.networks cost       RAM, flash and instructions on three cores

Each prints Markdown, the first a line as soon as it is known, the second two tables at its end.
What was found is kept in build/networks; the same command goes on from there. Needs PyTorch, SciPy,
scikit-learn, seglearn, Debian's dataset-fashion-mnist, and CIFAR-10 in ../shared/data.
"""

from __future__ import annotations

import argparse
import functools
import re
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bench.networks import cost, personal, store
from bench.networks.catalogue import ROWS, Row
from bench.networks.objectives import Objective
from bench.tables import spread
from tinytrain.experiments.identity import code_digest

LEARNING = (
    "network, what changed | score of | before, float | before, device | float | device "
    "| device - float | as good | rate"
)
MEMORY = "network | parameters | " + " | ".join(
    f"{what}, {name}" for what in ("RAM", "flash") for name in cost.CORES.values()
)
STEPS = f"network | {' | '.join(cost.CORES.values())} | error of s8 | reference = C"


def main() -> int:
    """Print a table; the exit code is 1 if a network learns less than it should or is not right."""
    parser = argparse.ArgumentParser(description="Networks that people use, trained for real")
    parser.add_argument("table", choices=("learning", "cost"))
    parser.add_argument("--only", default="", metavar="REGEX", help="lines whose title it is in")
    options = parser.parse_args()
    rows = [row for row in ROWS if re.search(options.only, row.title)]
    return _learning(rows) if options.table == "learning" else _costs(rows)


def _learning(rows: Sequence[Row]) -> int:
    _print_heading(LEARNING, left=2)
    are_good = []
    for row in rows:
        if row.steps:
            line, is_good = _learning_line(row)
            are_good.append(is_good)
            print(line, flush=True)
    return int(not all(are_good))


def _learning_line(row: Row) -> tuple[str, bool]:
    found = personal.personalise(row)
    objective, first = row.objective, found[0]
    device, in_float = (
        statistics.mean(getattr(one, name) for one in found)
        for name in ("device_after", "float_after")
    )
    is_good = objective.is_as_good(device, in_float)
    spreads = [
        _spread([getattr(one, name) for one in found], objective)
        for name in ("float_before", "device_before", "float_after", "device_after")
    ]
    if objective.unit == "loss":
        difference = f"{100 * (device / in_float - 1):+.1f} %"
    else:
        difference = f"{100 * (device - in_float):+.1f}"
    cells = (
        f"{row.title}: {row.change}",
        objective.scored,
        *spreads,
        difference,
        "yes" if is_good else "no",
        f"{first.rate:.2g}",
    )
    return f"| {' | '.join(cells)} |", is_good


def _spread(scores: Sequence[float], objective: Objective) -> str:
    return spread(scores, scale=1, digits=4) if objective.unit == "loss" else spread(scores)


def _costs(rows: Sequence[Row]) -> int:
    memory, steps, are_right = [], [], []
    for row in rows:
        found = store.kept(
            f"{row.key}-cost",
            (code_digest(), store.sources(personal.HERE, "*.py"), row.title),
            functools.partial(_cost_of, row),
        )
        on = [found["on"][core] for core in cost.CORES]
        is_right = all(one["is_right"] for one in on)
        are_right.append(is_right)
        sizes = [f"{one[what]:,}" for what in ("ram", "flash") for one in on]
        memory.append((row.title, f"{found['parameters']:,}", *sizes))
        counts = [f"{one['instructions'] / 1e6:.2f} M" for one in on]
        judged = f"{100 * found['error']:.1f} %", "yes" if is_right else "no"
        steps.append((row.title, *counts, *judged))
        print(f"{row.title}: done", file=sys.stderr)
    for heading, lines in ((MEMORY, memory), (STEPS, steps)):
        _print_heading(heading, left=1)
        print("\n".join(f"| {' | '.join(cells)} |" for cells in lines), end="\n\n")
    return int(not all(are_right))


def _cost_of(row: Row) -> dict[str, Any]:
    return asdict(cost.costs(row))


def _print_heading(names: str, *, left: int) -> None:
    print(f"| {names} |")
    print("|" + "---|" * left + "---:|" * (names.count("|") + 1 - left), flush=True)


if __name__ == "__main__":
    sys.exit(main())
