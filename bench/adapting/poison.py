"""What a guard is worth: labels that are wrong, sensors that are stuck, a rate that ruins.

    .venv/bin/python -m bench.adapting.poison [--cases watch-8 digits-both] [--seeds 3]

Each case learns honestly, then from poison, and from poison alone; with a guard and without. The
guard looks at samples of the new world and of the old one that no step learns from. Prints what the
tables of docs/learning.md have: without --cases that is their four cases.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.adapting.cases import CASE, Case
from bench.adapting.running import Runner, compiled
from tinytrain.simulation.library import LibrarySamples

CASES = ("watch-8", "digits-both", "vibration-site", "watch-10")
INTERVAL = 64
KEPT_NEW, KEPT_OLD = 50, 20
"""Samples that the guard looks at; as many of each class."""

STEPS = 800
"""Honest ones, and poisoned ones behind them."""

Poison = Callable[[LibrarySamples, np.random.Generator, int], LibrarySamples]


def _one_label(of: LibrarySamples, rng: np.random.Generator, classes: int) -> LibrarySamples:
    return _changed(of, np.full_like(of.targets, rng.integers(classes)))


def _flipped(share: float) -> Poison:
    def flip(of: LibrarySamples, rng: np.random.Generator, classes: int) -> LibrarySamples:
        return _changed(of, _wrong(of.targets, rng.random(len(of.targets)) < share, rng, classes))

    return flip


def _slow(of: LibrarySamples, rng: np.random.Generator, classes: int) -> LibrarySamples:
    """None is wrong at first, all are in the end."""
    count = len(of.targets)
    wrong = rng.random(count) < np.linspace(0.0, 1.0, count)
    return _changed(of, _wrong(of.targets, wrong, rng, classes))


def _stuck(of: LibrarySamples, rng: np.random.Generator, classes: int) -> LibrarySamples:
    """The sensor gives one sample for ever; the labels go on."""
    inputs, frozen = (
        None if data is None else np.ascontiguousarray(np.broadcast_to(data[:1], data.shape))
        for data in (of.inputs, of.frozen)
    )
    return LibrarySamples(of.targets, inputs, frozen)


def _none(of: LibrarySamples, rng: np.random.Generator, classes: int) -> LibrarySamples:
    return of


POISONS: dict[str, Poison] = {
    "none: honest": _none,
    "always one label": _one_label,
    "10 % of labels wrong": _flipped(0.1),
    "30 % wrong": _flipped(0.3),
    "100 % wrong": _flipped(1.0),
    "ever more wrong": _slow,
    "a stuck sensor": _stuck,
    "100 times the rate": _none,
}
HONEST, TOO_FAST = "none: honest", "100 times the rate"


def _wrong(
    labels: np.ndarray, which: np.ndarray, rng: np.random.Generator, classes: int
) -> np.ndarray:
    return np.where(which, (labels + rng.integers(1, classes, len(labels))) % classes, labels)


def _changed(of: LibrarySamples, labels: np.ndarray) -> LibrarySamples:
    return LibrarySamples(np.ascontiguousarray(labels, np.int32), of.inputs, of.frozen)


def taken(of: LibrarySamples, index: np.ndarray) -> LibrarySamples:
    """Some of the samples."""
    inputs, frozen = (None if data is None else data[index] for data in (of.inputs, of.frozen))
    return LibrarySamples(of.targets[index], inputs, frozen)


def together(one: LibrarySamples, other: LibrarySamples) -> LibrarySamples:
    """The samples of both, those of `other` behind."""
    assert one.inputs is not None and other.inputs is not None
    frozen = None
    if one.frozen is not None and other.frozen is not None:
        frozen = np.concatenate([one.frozen, other.frozen])
    targets = np.concatenate([one.targets, other.targets])
    return LibrarySamples(targets, np.concatenate([one.inputs, other.inputs]), frozen)


def balanced(labels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of as many of each class, `count` at most."""
    classes = np.unique(labels)
    chosen = [
        rng.permutation(np.flatnonzero(labels == k))[: count // len(classes)] for k in classes
    ]
    return np.concatenate(chosen)


@dataclass(frozen=True)
class Run:
    """Mean of the balanced accuracies of the new world and of the old one.

    Attributes:
        good: before the poison; of a run from the factory state that of the factory.
        after: after it.
    """

    good: float
    after: float


class Trial:
    """A case with a guard and without, on the same samples.

    Args:
        case: of the table of cases, with an old world.
        folder: to compile into.
    """

    def __init__(self, case: Case, folder: Path) -> None:
        self.plain, self.guarded = (
            self._runner(case, folder / name, interval)
            for name, interval in (("plain", 0), ("guarded", INTERVAL))
        )
        self.classes = self.plain.library.model.classes

    @staticmethod
    def _runner(case: Case, output: Path, interval: int) -> Runner:
        compiled(case, output, guard=interval, schedule="constant")
        return Runner(case, output)

    def runs(self, poison: str, seed: int, *, is_honest_first: bool) -> tuple[Run, Run]:
        """Without a guard and with one."""
        found = []
        for runner in (self.plain, self.guarded):
            rng = np.random.default_rng(seed)
            assert runner.past is not None
            kept = balanced(runner.learn.targets, KEPT_NEW, rng)
            rest = np.setdiff1d(np.arange(len(runner.learn.targets)), kept)
            past = taken(runner.past, balanced(runner.past.targets, KEPT_OLD, rng))
            library = runner.library
            library.init()
            if library.model.guard is not None:
                library.guard(together(taken(runner.learn, kept), past))
            rate = library.learning_rate()
            library.set_learning_rate(rate)
            if is_honest_first:
                library.train(runner.learn, rng.choice(rest, STEPS))
            good = self._score(runner)
            if poison == TOO_FAST:
                library.set_learning_rate(100.0 * rate)
            samples = taken(runner.learn, rng.choice(rest, STEPS))
            library.train(POISONS[poison](samples, rng, self.classes), np.arange(STEPS))
            if library.model.guard is not None:
                library.finish()
            found.append(Run(good, self._score(runner)))
        return found[0], found[1]

    @staticmethod
    def _score(runner: Runner) -> float:
        assert runner.past is not None
        return (runner.scores(runner.judge).balanced + runner.scores(runner.past).balanced) / 2


def lines(case: Case, seeds: int) -> Iterator[str]:
    """A line for each poison and beginning."""
    with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
        trial = Trial(case, Path(place))
        for is_honest_first in (True, False):
            begins = "after honest steps" if is_honest_first else "from the first step"
            for poison in POISONS:
                pairs = [
                    trial.runs(poison, seed, is_honest_first=is_honest_first)
                    for seed in range(seeds)
                ]
                without = [100 * (plain.after - plain.good) for plain, _ in pairs]
                under = [100 * (guarded.after - guarded.good) for _, guarded in pairs]
                if poison == HONEST:
                    # Beside each other, as nothing is to be undone.
                    cost = [100 * (guarded.after - plain.after) for plain, guarded in pairs]
                    cells = f"{_mean(without)} | {_mean(under)} | costs {_mean(cost)}"
                else:
                    cells = f"{_mean(without)} | {_mean(under)} | worst {min(under):+.1f}"
                yield f"| {case.title} | {begins} | {poison} | {cells} |"


def _mean(of: Sequence[float]) -> str:
    return f"{np.mean(of):+.1f}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", default=CASES)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    print("| case | poison begins | poison | without a guard | with it | |")
    print("|---|---|---|---:|---:|---:|")
    for key in options.cases:
        for line in lines(CASE[key], options.seeds):
            print(line, flush=True)


if __name__ == "__main__":
    main()
