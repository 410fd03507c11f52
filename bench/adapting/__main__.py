"""What adapting wins and what it costs, over situations and ways to adapt.

    .venv/bin/python -m bench.adapting table    balanced accuracy, new world and old, three seeds

Prints Markdown. What was found is kept in build/adapting; the same command goes on from there.
Needs what bench.networks needs, and networks and images of ../shared.
"""

from __future__ import annotations

import argparse
import functools
import inspect
import re
import statistics
import sys
from collections.abc import Sequence
from typing import Any

from bench.adapting.cases import CASES, Case
from bench.adapting.methods import METHODS, Method, adapt
from bench.adapting.networks import FOLDER, HERE
from bench.networks import store
from tinytrain.experiments.identity import code_digest

SEEDS = (0, 1, 2)
Found = dict[str, list[dict[str, Any]]]
"""Of a case by method what each seed gave."""


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description="What adapting wins and what it costs")
    parser.add_argument("table", choices=("table",))
    parser.add_argument("--only", default="", metavar="REGEX", help="cases whose key it is in")
    options = parser.parse_args()
    cases = [case for case in CASES if case.task == "classes" and re.search(options.only, case.key)]
    found = {case.key: _found(case) for case in cases}
    for world, of in (("own", "the new world"), ("old", "the old world")):
        rows = [case for case in cases if _values(found[case.key], "device", f"{world}_after")]
        print(f"\nBalanced accuracy of {of}, %:\n")
        _print_table(world, rows, found)
    return 0


def _found(case: Case) -> Found:
    return {
        key: [_kept(case, key, method, seed) for seed in SEEDS]
        for key, method in METHODS.items()
        if method.fits(case)
    }


def _kept(case: Case, key: str, method: Method, seed: int) -> dict[str, Any]:
    decided = (
        code_digest(),
        store.sources(HERE, "cases.py", "networks.py", "running.py", "worlds.py"),
        *(inspect.getsource(part) for part in (adapt, method.learn, method.options)),
        *(case.key, seed),
    )
    print(f"{case.key}: {key}, seed {seed}", file=sys.stderr)
    find = functools.partial(adapt, case, method, seed)
    found: dict[str, Any] = store.kept(f"{case.key}-{key}-{seed}", decided, find, folder=FOLDER)
    return found


def _values(found: Found, method: str, name: str) -> list[float]:
    return [one[name] for one in found.get(method, ()) if one[name] is not None]


def _print_table(world: str, rows: Sequence[Case], found: dict[str, Found]) -> None:
    titles = " | ".join(method.title for method in METHODS.values())
    print(f"| situation | data | keep | labels | before | {titles} |")
    print("|---|---|---|---:|---:|" + "---:|" * len(METHODS))
    for case in rows:
        of_case = found[case.key]
        cells = [
            case.situation,
            case.title,
            case.keep,
            str(of_case["device"][0]["labels"]),
            _spread(_values(of_case, "device", f"{world}_before")),
            *(_spread(_values(of_case, key, f"{world}_after")) for key in METHODS),
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


def _spread(values: Sequence[float]) -> str:
    if not values:
        return ""
    return f"{100 * statistics.mean(values):.1f} ± {100 * statistics.stdev(values):.1f}"


if __name__ == "__main__":
    sys.exit(main())
