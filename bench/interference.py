"""How well `choosing.interference` tells schemes apart that searches have tried.

    .venv/bin/python -m bench.interference

Reads what `bench.searches` left in build/searches: of each model and its data the short trainings
at the suggested rate. Prints Spearman's rank correlation of a scheme's value with the loss of the
judges, for several weights of the second term, and the loss of the scheme that it values most,
beside the least and the median.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from scipy.stats import spearmanr

from bench.searches import OUTPUT
from tinytrain.choosing import interference
from tinytrain.choosing.choices import RATIOS, Choices, Ratios
from tinytrain.searches.lengths import SHORT_SEEDS
from tinytrain.searches.worth import read_worth

WEIGHTS = (0.0, interference.SIGNAL, 0.5, 1.0)
SHORT = "short: "


class AtOneRate(interference.Interference):
    """The head learns as fast as the other layers."""

    rate, of_head = 1.0, 1.0


def tried(folder: Path) -> Iterator[tuple[int, Ratios, float]]:
    """The number of biases, the ratios and the mean loss of each scheme of `RATIOS`."""
    losses: dict[str, list[float]] = defaultdict(list)
    for path in sorted((folder / "trainings").glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["title"].startswith(SHORT):
            losses[found["scheme"]].append(math.inf if found["loss"] is None else found["loss"])
    for text, each in losses.items():
        scheme = tomllib.loads(text)
        ratios = scheme.get("weights", {})
        listed = any(not isinstance(ratio, float) for ratio in ratios.values())
        if (
            len(each) == len(SHORT_SEEDS)
            and "rate" not in scheme
            and "rates" not in scheme
            and not listed
        ):
            yield len(scheme["biases"]), ratios, statistics.mean(each)


def line(folder: Path) -> str | None:
    """A line of the table; None without a fresh head."""
    worth = read_worth(folder / "worth-learned.npz")
    if worth is None or worth.interference is None:
        return None
    layers = tuple(worth.layers)[:-1]
    counts = tuple(range(len(layers) + 1))
    known = dict.fromkeys(layers, RATIOS)
    # These schemes train the largest channels, which are no better than others by Fisher.
    worth = replace(worth, facts={})
    schemes = list(tried(folder))
    losses = [loss for *_, loss in schemes]
    if not losses:
        return None
    cells = [folder.name, f"{len(schemes)}"]
    for weight in WEIGHTS:
        valued = AtOneRate(Choices(layers, counts, known), worth, signal=weight)
        values = valued.gains([(count, ratios) for count, ratios, _ in schemes])
        rank = spearmanr(values, [-loss for loss in losses]).statistic
        first = losses[max(range(len(values)), key=values.__getitem__)]
        cells.append(f"{rank:.2f} ({first:.3f})")
    cells += [f"{min(losses):.3f}", f"{statistics.median(losses):.3f}"]
    return f"| {' | '.join(cells)} |"


def main() -> int:
    heads = " | ".join(f"{weight:g}" for weight in WEIGHTS)
    print(f"| search | schemes | {heads} | least loss | median |")
    print("|---|---:|" + "---:|" * (len(WEIGHTS) + 2))
    for folder in sorted(OUTPUT.glob("store/*")):
        if (text := line(folder)) is not None:
            print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
