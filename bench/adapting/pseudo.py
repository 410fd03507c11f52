"""What samples without labels are worth, where the head alone trains on pseudo-labels.

    .venv/bin/python -m bench.adapting.pseudo [CASE ...]

Prints Markdown: accuracy on the new world and on the old one after learning, the share of the
samples that were taken and of the pseudo-labels that were right, over three seeds, by the C that
ships. What was found is kept in build/adapting. With labels, beside it: the head trained on the
same samples, and enrolment alone. A seed chooses the five labelled samples of each class and the
order of the others.
"""

from __future__ import annotations

import inspect
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.adapting import running
from bench.adapting.cases import CASE, PASSES, Case
from bench.adapting.methods import SEEDS, SLOTS
from bench.adapting.poison import KEPT_NEW, KEPT_OLD, balanced, taken, together
from bench.adapting.running import Runner, Scores, kept
from bench.adapting.worlds import chosen
from bench.tables import spread
from tinytrain.reference.pseudo import LEFT
from tinytrain.simulation.stream import training_order

CASES = ("watch-2", "watch-10", "digits-both", "vibration-site", "speaker")
FEW = 5
"""Labelled samples of each class, where there are some."""

INTERVAL = 64
REHEARSED, GUARDED = "rehearsed", "guarded"

OPTIONS: dict[str, Callable[[Case], dict[str, Any]]] = {
    REHEARSED: lambda case: {
        "rehearse": running.files(case)["calibration"],
        "enrol": f"knn:{SLOTS}",
    },
    GUARDED: lambda case: {"guard": INTERVAL},
}
"""Folders that a case is compiled into. A guard does not go with enrolment."""

Found = dict[str, float | None]
Learn = Callable[[Runner, int], Found]


def _figures(
    own: Scores, past: Scores | None, judged: np.ndarray | None = None, wanted: Any = None
) -> Found:
    """Balanced accuracies, and of samples without labels the shares that were taken and right."""
    assert past is not None, "the old world counts"
    found: Found = {"own": own.balanced, "old": past.balanced, "taken": None, "right": None}
    if judged is not None:
        is_taken = judged != LEFT
        found["taken"] = float(is_taken.mean())
        found["right"] = float(np.mean((judged == wanted)[is_taken])) if is_taken.any() else None
    return found


def _rest(runner: Runner, index: np.ndarray, seed: int) -> np.ndarray:
    """The order of the samples that are not in `index`, for all steps of a case."""
    rest = np.setdiff1d(np.arange(len(runner.learn.targets)), index)
    return rest[training_order(len(rest), runner.case.steps, seed)]


def _before(runner: Runner, seed: int) -> Found:
    runner.library.init()
    return _figures(*runner.both())


def _few_enrolled(runner: Runner, seed: int) -> Found:
    runner.library.init()
    runner.library.enrolment.enrol(runner.learn, chosen(runner.learn.targets, FEW, seed))
    return _figures(*runner.both_enrolled())


def _on_few(runner: Runner, seed: int) -> np.ndarray:
    """The few are enrolled, and the head trains on them; their indices."""
    few = chosen(runner.learn.targets, FEW, seed)
    runner.library.init()
    runner.library.enrolment.enrol(runner.learn, few)
    steps = min(runner.case.steps, PASSES * len(few))
    runner.library.train(runner.learn, np.resize(few, steps), rehearsal_steps=1)
    return few


def _few_trained(runner: Runner, seed: int) -> Found:
    _on_few(runner, seed)
    return _figures(*runner.both())


def _few_and_labels(runner: Runner, seed: int) -> Found:
    order = _rest(runner, _on_few(runner, seed), seed)
    runner.library.train(runner.learn, order, rehearsal_steps=1)
    return _figures(*runner.both())


def _few_and_unlabelled(runner: Runner, seed: int) -> Found:
    order = _rest(runner, _on_few(runner, seed), seed)
    return _unlabelled(runner, order, rehearsal_steps=1)


def _unlabelled(runner: Runner, order: np.ndarray, rehearsal_steps: int = 0) -> Found:
    judged = runner.library.train_unlabelled(runner.learn, order, rehearsal_steps=rehearsal_steps)
    if runner.library.model.guard is not None:
        runner.library.finish()
    return _figures(*runner.both(), judged["label"], runner.learn.targets[order])


def _alone(runner: Runner, seed: int) -> Found:
    """What the device is not built for: neither a rehearsed step nor a guard."""
    runner.library.init()
    return _unlabelled(runner, _rest(runner, np.empty(0, np.int64), seed))


def _rehearsing(runner: Runner, seed: int) -> Found:
    runner.library.init()
    return _unlabelled(runner, _rest(runner, np.empty(0, np.int64), seed), 1)


def _guarded(runner: Runner, seed: int) -> Found:
    rng = np.random.default_rng(seed)
    assert runner.past is not None
    new = balanced(runner.learn.targets, KEPT_NEW, rng)
    past = taken(runner.past, balanced(runner.past.targets, KEPT_OLD, rng))
    runner.library.init()
    runner.library.guard(together(taken(runner.learn, new), past))
    return _unlabelled(runner, _rest(runner, new, seed))


@dataclass(frozen=True)
class Way:
    """A line of the table for each case: its words, the folder that it runs in, what it does."""

    labels: str
    title: str
    folder: str
    learn: Learn


WAYS = (
    Way("none", "as it ships", REHEARSED, _before),
    Way("none", "pseudo-labels, no guard", REHEARSED, _alone),
    Way(f"{KEPT_NEW} kept apart", "pseudo-labels, guard", GUARDED, _guarded),
    Way("none", "pseudo-labels, rehearsed", REHEARSED, _rehearsing),
    Way(f"{FEW} a class", "enrolled alone", REHEARSED, _few_enrolled),
    Way(f"{FEW} a class", "head trained on them, rehearsed", REHEARSED, _few_trained),
    Way(f"{FEW} a class", "the same, then pseudo-labels", REHEARSED, _few_and_unlabelled),
    Way("all", "the same, then true labels", REHEARSED, _few_and_labels),
)


def results(case: Case) -> list[list[Found]]:
    """Of each way what each seed gave."""
    found: dict[str, list[Found]] = {}
    with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
        for name, options in OPTIONS.items():
            folder = Path(place) / name
            running.compiled(case, folder, scheme="head", pseudo_labels=True, **options(case))
            runner = Runner(case, folder)
            for way in WAYS:
                if way.folder == name:
                    found[way.title] = [way.learn(runner, seed) for seed in SEEDS]
    return [found[way.title] for way in WAYS]


def lines(case: Case) -> list[str]:
    """The lines of a case."""
    decides = inspect.getsource(sys.modules[__name__])
    found = kept(case, "pseudo", (decides,), partial(results, case))
    return [
        f"| {case.title} | {way.labels} | {way.title} | {' | '.join(_cells(of_way))} |"
        for way, of_way in zip(WAYS, found, strict=True)
    ]


def _cells(of_way: Sequence[Found]) -> list[str]:
    cells = []
    for name in ("own", "old", "taken", "right"):
        values = [value for one in of_way if (value := one[name]) is not None]
        if len(set(values)) < 2:
            cells.append(f"{100 * values[0]:.1f}" if values else "")
        else:
            cells.append(spread(values))
    return cells


def main(keys: Sequence[str]) -> None:
    """Prints the table."""
    print("| data | labels | way | new world | old world | taken | right |")
    print("|---|---|---|---:|---:|---:|---:|")
    for key in keys or CASES:
        for line in lines(CASE[key]):
            print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
