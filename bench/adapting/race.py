"""What a race of learning rates wins: the rate that it takes beside the suggested one.

Both are taken from the calibration samples alone; then the C that ships learns the new world from
the factory state, three orders of the samples each.

    .venv/bin/python -m bench.adapting.race
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.adapting.cases import CASE, Case
from bench.adapting.running import Runner, compiled, kept
from bench.tables import spread

SEEDS = (0, 1, 2)

RACED = tuple(
    replace(CASE[key], key=f"{key}-{scheme}", scheme=scheme)
    for key, schemes in (
        ("digits-tilted", ("head", "full")),
        ("digits-both", ("last-6",)),
        ("watch-2", ("head", "full")),
        ("watch-8", ("full",)),
        ("watch-10", ("last-6",)),
    )
    for scheme in schemes
)


def outcomes(case: Case) -> dict[str, Any]:
    """By "auto" and "race" the rate, the schedule, and what counts after each seed."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
        for way in ("auto", "race"):
            folder = Path(place) / way
            chosen = {"learning_rate": "race"} if way == "race" else {}
            manifest = compiled(case, folder, keep=case.keep, **chosen).manifest
            runner = Runner(case, folder)
            scores = []
            for seed in SEEDS:
                end = runner.run(seed=seed)
                own, past = end.own_after.accuracy, end.past_after
                both = case.keep == "old" and past is not None
                scores.append(np.mean([own, past.accuracy]) if both and past else own)
            found[way] = {
                "rate": manifest.learning_rate,
                "schedule": manifest.options["schedule"],
                "scores": [float(score) for score in scores],
            }
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="A race beside the suggested rate")
    parser.add_argument("--only", default="", metavar="REGEX", help="cases whose key it is in")
    options = parser.parse_args(arguments)
    print("| data | scheme | keep | suggested | accuracy, % | race | accuracy, % |")
    print("|---|---|---|---:|---:|---|---:|", flush=True)
    for case in RACED:
        if not re.search(options.only, case.key):
            continue
        found = kept(
            case, "race", (SEEDS, case.scheme, case.keep), lambda case=case: outcomes(case)
        )
        auto, race = found["auto"], found["race"]
        print(
            f"| {case.title} | {case.scheme} | {case.keep} | {auto['rate']:g} | "
            f"{spread(auto['scores'])} | {race['rate']:g}, {race['schedule']} | "
            f"{spread(race['scores'])} |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
