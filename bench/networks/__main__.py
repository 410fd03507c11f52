"""Networks that people use, trained for real: what they learn on the device, and what it takes.

    .venv/bin/python -m bench.networks learning   personalised on the device, and in float beside it
    .venv/bin/python -m bench.networks cost       RAM, flash and instructions on three cores

Each prints a Markdown table, a line as soon as it is known. What was found is kept in
build/networks; the same command goes on from there. Needs PyTorch, SciPy, scikit-learn, seglearn,
Debian's dataset-fashion-mnist, and CIFAR-10 in ../shared/data.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict

from bench.networks import cost, personal, store
from bench.networks.catalogue import ROWS, Row
from bench.networks.objectives import Objective
from tinytrain.experiments.identity import code_digest

LEARNING = (
    "network",
    "what changed",
    "of",
    "steps",
    "rate, float",
    "rate, device",
    "before, float",
    "before, device",
    "after, float",
    "after, device",
    "device - float",
    "as good",
)
CORES = {"mps2-an500": "M7", "mps3-an547": "M55", "m0": "M0"}


def main() -> int:
    """Print a table; the exit code is 1 if a network learns less than it should or is not right."""
    parser = argparse.ArgumentParser(description="Networks that people use, trained for real")
    parser.add_argument("table", choices=("learning", "cost"))
    parser.add_argument("--only", default="", metavar="REGEX", help="lines whose title it is in")
    options = parser.parse_args()
    rows = [row for row in ROWS if re.search(options.only, row.title)]
    return _learning(rows) if options.table == "learning" else _costs(rows)


def _learning(rows: Sequence[Row]) -> int:
    _heading(LEARNING, left=2)
    failed = False
    for row in rows:
        if row.steps:
            cells, is_as_good = _learning_line(row)
            failed |= not is_as_good
            print(f"| {' | '.join(cells)} |", flush=True)
    return int(failed)


def _learning_line(row: Row) -> tuple[list[str], bool]:
    found = personal.personalise(row)
    objective, first = row.objective, found[0]
    device, in_float = (
        statistics.mean(getattr(one, name) for one in found)
        for name in ("device_after", "float_after")
    )
    is_as_good = objective.is_as_good(device, in_float)
    spreads = [
        _spread([getattr(one, name) for one in found], objective)
        for name in ("float_before", "device_before", "float_after", "device_after")
    ]
    if objective.unit == "loss":
        difference = f"{100 * (device / in_float - 1):+.1f} %"
    else:
        difference = f"{100 * (device - in_float):+.1f}"
    cells = [
        row.title,
        row.change,
        objective.scored,
        f"{row.steps:,}",
        f"{first.float_rate:.2g}",
        f"{first.device_rate:.2g}",
        *spreads,
        difference,
        "yes" if is_as_good else "no",
    ]
    return cells, is_as_good


def _spread(scores: Sequence[float], objective: Objective) -> str:
    mean, deviation = statistics.mean(scores), statistics.stdev(scores)
    if objective.unit == "loss":
        return f"{mean:.4f} ± {deviation:.4f}"
    return f"{100 * mean:.1f} ± {100 * deviation:.1f}"


def _costs(rows: Sequence[Row]) -> int:
    names = list(CORES.values())
    _heading(
        (
            "network",
            "parameters",
            *(f"{what}, {name}" for what in ("RAM", "flash", "step") for name in names),
            "error of s8",
            "reference = C",
        ),
        left=1,
    )
    failed = False
    for row in rows:
        decides = (code_digest(), store.sources(personal.HERE, "*.py"), row.key)
        found = store.kept(f"{row.key}-cost", decides, lambda row=row: asdict(cost.costs(row)))
        on = [found["on"][core] for core in CORES]
        is_right = all(one["is_right"] for one in on)
        failed |= not is_right
        cells = [
            row.title,
            f"{found['parameters']:,}",
            *(f"{one['ram']:,}" for one in on),
            *(f"{one['flash']:,}" for one in on),
            *(f"{one['instructions'] / 1e6:.2f} M" for one in on),
            f"{100 * found['error']:.1f} %",
            "yes" if is_right else "no",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)
    return int(failed)


def _heading(names: Sequence[str], *, left: int) -> None:
    print(f"| {' | '.join(names)} |")
    print("|" + "---|" * left + "---:|" * (len(names) - left), flush=True)


if __name__ == "__main__":
    sys.exit(main())
