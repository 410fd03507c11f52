"""What adapting wins and what it costs, over situations and ways to adapt.

    .venv/bin/python -m bench.adapting table    balanced accuracy, new world and old, three seeds
    .venv/bin/python -m bench.adapting few      the same from five labelled samples of each class
    .venv/bin/python -m bench.adapting drift    accuracy under drift that nobody labels
    .venv/bin/python -m bench.adapting anomaly  faults told by what is normal, without labels
    .venv/bin/python -m bench.adapting cost     RAM, flash, instructions and time on a Cortex-M7

Prints Markdown. What was found is kept in build/adapting; the same command goes on from there.
Needs what bench.networks needs, and networks and images of ../shared.
"""

from __future__ import annotations

import argparse
import functools
import inspect
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from bench.adapting.anomaly import print_anomalies
from bench.adapting.cases import CASES, Case, with_few
from bench.adapting.cost import CLOCK_HZ, cost
from bench.adapting.drift import print_table
from bench.adapting.methods import METHODS, Method, adapt
from bench.adapting.running import kept
from bench.tables import spread

FEW = 5
"""Samples of each class, where they are few."""

Found = dict[str, dict[str, Any]]
"""Of a case by method what it gave."""


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description="What adapting wins and what it costs")
    parser.add_argument("table", choices=("table", "few", "cost", "drift", "anomaly"))
    parser.add_argument("--only", default="", metavar="REGEX", help="cases whose key it is in")
    options = parser.parse_args()
    if options.table == "drift":
        print_table(options.only)
        return 0
    if options.table == "anomaly":
        print_anomalies(options.only)
        return 0
    cases = [case for case in CASES if case.task == "classes" and re.search(options.only, case.key)]
    if options.table == "cost":
        _costs(cases)
        return 0
    if options.table == "few":
        cases = [with_few(case, FEW) for case in cases]
    found = {case.key: _found(case) for case in cases}
    for world, of in (("own", "the new world"), ("old", "the old world")):
        rows = [case for case in cases if _values(found[case.key], "device", f"{world}_after")]
        print(f"\nBalanced accuracy of {of}, %:\n")
        _print_accuracies(world, rows, found)
    return 0


def _found(case: Case) -> Found:
    return {
        key: _kept(case, key, adapt, method) for key, method in METHODS.items() if method.fits(case)
    }


def _kept(
    case: Case, key: str, find: Callable[[Case, Method], dict[str, Any]], method: Method
) -> dict[str, Any]:
    """What `find` gives for a case and a method."""
    what = f"{key}-{find.__name__}"
    print(f"{case.key}-{what}", file=sys.stderr)
    decides = tuple(inspect.getsource(part) for part in (find, method.learn, method.options))
    found: dict[str, Any] = kept(case, what, decides, functools.partial(find, case, method))
    return found


def _values(found: Found, method: str, name: str) -> list[float]:
    return found[method][name] or [] if method in found else []


def _print_accuracies(world: str, rows: Sequence[Case], found: dict[str, Found]) -> None:
    titles = " | ".join(method.title for method in METHODS.values())
    print(f"| situation | data | keep | labels | before | {titles} |")
    print("|---|---|---|---:|---:|" + "---:|" * len(METHODS))
    for case in rows:
        of_case = found[case.key]
        cells = [
            case.situation,
            case.title,
            case.keep,
            str(of_case["device"]["labels"]),
            _spread(_values(of_case, "device", f"{world}_before")),
            *(_spread(_values(of_case, key, f"{world}_after")) for key in METHODS),
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


def _spread(values: Sequence[float]) -> str:
    """Of what is the same for all seeds the mean alone."""
    if len(set(values)) < 2:
        return f"{100 * values[0]:.1f}" if values else ""
    return spread(values)


def _costs(cases: Sequence[Case]) -> None:
    print("| data | scheme | way | RAM | flash | instructions of a new sample | samples | time |")
    print("|---|---|---|---:|---:|---:|---:|---:|")
    for case in cases:
        for key, method in METHODS.items():
            if not (method.ships and method.fits(case)):
                continue
            found = _kept(case, key, cost, method)
            samples = method.samples(case)
            seconds = samples * found["instructions"] / CLOCK_HZ
            cells = (
                *(case.title, method.options(case).get("scheme", case.scheme), method.title),
                *(f"{found[what]:,}" for what in ("ram", "flash")),
                *(f"{found['instructions'] / 1e6:.2f} M", f"{samples:,}", f"{seconds:.1f} s"),
            )
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
