"""How many samples of before a device should carry, and how often it should train on them.

    .venv/bin/python -m bench.adapting.rehearsal          every case whose old task counts
    .venv/bin/python -m bench.adapting.rehearsal watch-2  the cases whose key this is in

Prints Markdown: balanced accuracy of the new world and of the old one after adapting, and their
mean, over three seeds, by the C that ships. The samples come from the labelled calibration samples.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.adapting import running
from bench.adapting.cases import CASES, Case
from bench.adapting.running import Runner
from bench.tables import spread

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Way:
    """How samples of before are used.

    Attributes:
        slots: of the rehearsal set, or of the replay buffer that is filled with them.
        every: new samples between two groups of steps on them.
        steps: on samples of before, in such a group.
        is_filled: whether they lie in a replay buffer, where new samples replace them.
    """

    slots: int = 0
    every: int = 1
    steps: int = 1
    is_filled: bool = False

    @property
    def title(self) -> str:
        """As the table names it."""
        if not self.slots:
            return "none"
        if self.is_filled:
            return f"{self.slots} in a replay buffer at first, a step after each new sample"
        after = "each new sample" if self.every == 1 else f"every {self.every} new samples"
        count = "a step" if self.steps == 1 else f"{self.steps} steps"
        return f"{self.slots}, {count} after {after}"

    @property
    def options(self) -> dict[str, Any]:
        """Of `compile`."""
        if not self.slots:
            return {}
        return {"replay" if self.is_filled else "rehearsal_slots": self.slots}


WAYS = (
    Way(),
    *(Way(slots) for slots in (16, 32, 64, 128, 256)),
    Way(64, every=4),
    Way(64, every=2),
    Way(64, steps=2),
    Way(64, is_filled=True),
)


def main() -> int:
    """Print a table."""
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    print("| data | scheme | samples of before | bytes | new | old | mean |")
    print("|---|---|---|---:|---:|---:|---:|")
    for case in CASES:
        if case.keep == "old" and case.task == "classes" and re.search(asked, case.key):
            for line in _lines(case):
                print(line, flush=True)
    return 0


def _lines(case: Case) -> Iterator[str]:
    for way in WAYS:
        with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
            folder = Path(place) / "model"
            product = running.compiled(case, folder, **way.options)
            runner = Runner(case, folder)
            found = [adapted(runner, way, seed) for seed in SEEDS]
        manifest = product.manifest
        held = manifest.rehearsal or manifest.replay
        own, old = (spread(one) for one in zip(*found, strict=True))
        cells = case.title, case.scheme, way.title, f"{held.nbytes if held else 0:,}", own, old
        yield f"| {' | '.join(cells)} | {100 * np.mean(found):.1f} |"


def adapted(runner: Runner, way: Way, seed: int) -> tuple[float, float]:
    """Balanced accuracy of the new world and of the old one, after a run from the factory state."""
    library, past = runner.library, runner.past
    assert past is not None, "the old task counts"
    library.init()
    order = runner.order(seed=seed)
    if way.is_filled:
        library.remember(runner.calibration)
        library.train(runner.learn, order, replay_steps=way.steps)
    elif not way.slots:
        library.train(runner.learn, order)
    else:
        for start in range(0, len(order), way.every):
            library.train(runner.learn, order[start : start + way.every])
            library.rehearse(way.steps)
    return runner.scores(runner.judge).balanced, runner.scores(past).balanced


if __name__ == "__main__":
    sys.exit(main())
