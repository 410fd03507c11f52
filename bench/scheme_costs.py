"""How many schemes a second `compiler.costs` prices, and how near the quick figure is.

Random schemes of MCUNet-5FPS on the emulated Cortex-M7, the input fed in rows: some of the last
biases, and each layer among them with one chance in ten at a random ratio.

    .venv/bin/python -m bench.scheme_costs [N]    20 schemes by default
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from bench.memory import MODELS, TARGET
from tinytrain.compiler.cost_lines import CostLines
from tinytrain.compiler.costs import Costs
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import to_integers
from tinytrain.frontend import import_model
from tinytrain.passes.base import Runner
from tinytrain.scheme.scheme import Scheme
from tinytrain.target import load_target

Found = TypeVar("Found")

SHARE = 0.1
"""Of the layers whose bias trains, those whose weights do."""


def main() -> int:
    """Prints a line for each scheme, then how many were priced in a second of processor time."""
    options = Options(classes=10, feed="rows", learning_rate=2.0**-9)
    model = import_model(MODELS / "mcunet-5fps-int8.onnx")
    forward = to_integers(model.graph, None, options, Runner())
    costs, seconds = _timed(lambda: Costs(forward, options, load_target(TARGET)))
    print(f"reference folder: {seconds:.1f} s")
    _, seconds = _timed(lambda: CostLines(costs))
    print(f"what adds up, {len(costs.choices.ratios)} layers: {seconds:.1f} s")
    schemes = _random_schemes(costs, int(sys.argv[1]) if len(sys.argv) > 1 else 20)
    quick, planned, most = 0.0, 0.0, 0.0
    for scheme in schemes:
        least, seconds = _timed(partial(costs.least, scheme))
        quick += seconds
        cost, seconds = _timed(partial(costs.of, scheme, 0))
        planned += seconds
        most = max(most, abs(cost.ram / least.ram - 1.0))
        print(
            f"{len(scheme.biases)} biases, {len(scheme.weights)} weights: {cost.ram:,} bytes, "
            f"{cost.instructions / 1e6:.1f} M instructions, quick {cost.ram - least.ram:+,}"
        )
    print(
        f"quick: {len(schemes) / quick:.1f} a second, within {most:.1%}; "
        f"by the planner: {len(schemes) / planned:.2f} a second"
    )
    return 0


def _timed(work: Callable[[], Found]) -> tuple[Found, float]:
    """What it finds, and the seconds of processor time that it takes."""
    start = time.process_time()
    found = work()
    return found, time.process_time() - start


def _random_schemes(costs: Costs, count: int) -> list[Scheme]:
    choices, rng, found = costs.choices, random.Random(0), []
    for _ in range(count):
        biases = rng.choice(choices.counts)
        able = [layer for layer in choices.ratios if choices.reach(layer) <= biases]
        chosen = [layer for layer in able if rng.random() < SHARE]
        ratios = {layer: rng.choice(choices.ratios[layer][1:]) for layer in chosen}
        found.append(choices.scheme(biases, ratios))
    return found


if __name__ == "__main__":
    sys.exit(main())
