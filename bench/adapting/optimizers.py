"""SGD and Adam side by side, each by the C that ships.

    .venv/bin/python -m bench.adapting.optimizers

Own balanced accuracy after a cosine, in the mean over seeds: of SGD for multiples of the rate that
`compile` suggests, of Adam for the same rates in every case. What was found is kept in
build/adapting. Needs what `bench.adapting` needs.
"""

from __future__ import annotations

import functools
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.adapting.cases import CASES, Case
from bench.adapting.running import Runner, compiled, kept

CHOSEN = ("watch-8", "watch-10", "digits-tilted", "speaker", "fashion-classes", "vibration-site")
SEEDS = (0, 1, 2)
MULTIPLES = (0.3, 1.0, 3.0)
"""Of the rate that is suggested for SGD."""

RATES = (0.0003, 0.001, 0.003)
"""Of Adam."""


def scores(case: Case, optimizer: str) -> dict[str, Any]:
    """`after`: a mean over seeds for each rate, 0 to 1; the suggested `rate`, and the `ram`."""
    with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
        product = compiled(case, Path(place) / "model", optimizer=optimizer, schedule="constant")
        runner = Runner(case, product.directory)
        suggested = product.manifest.guidance.suggested_rate
        assert suggested is not None
        rates = RATES if optimizer == "adam" else [part * suggested for part in MULTIPLES]
        after = []
        for rate in rates:
            runs = [runner.run(rate, f"cosine:{case.steps}", seed=seed) for seed in SEEDS]
            after.append(statistics.mean(run.own_after.balanced for run in runs))
        return {"rate": suggested, "after": after, "ram": product.memory.ram["total"]}


def line_of(case: Case) -> str:
    """A line of the table."""
    sgd, adam = (
        kept(
            case,
            f"optimizer-{optimizer}",
            (SEEDS, MULTIPLES, RATES),
            functools.partial(scores, case, optimizer),
        )
        for optimizer in ("sgd", "adam")
    )
    cells = [case.title, f"{sgd['rate']:.2g}"]
    cells += [f"{100 * after:.1f}" for after in (*sgd["after"], *adam["after"])]
    cells += [f"{found['ram']:,}" for found in (sgd, adam)]
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Print the table, a line as soon as it is known."""
    heads = ["case", "SGD: rate", *(f"x{multiple:g}" for multiple in MULTIPLES)]
    heads += [*(f"Adam: {rate:g}" for rate in RATES), "RAM, SGD", "RAM, Adam"]
    print(f"| {' | '.join(heads)} |")
    print(f"|---|{'---:|' * (len(heads) - 1)}")
    for case in CASES:
        if case.key in CHOSEN:
            print(line_of(case), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
