"""`--learning-rate race`: the rate and schedule that learn best, by the C that ships.

Each variant trains the model from its factory state, in a library of this machine, on a part of
the labelled calibration samples, and the rest judges (`race_samples`). All variants run once; the
better half and the suggestion run twice more, with other orders of the samples and other judges.
Of those whose scores differ from the best by no more than chance, two standard errors of the paired
differences, the one nearest to the suggestion wins (after the one-standard-error rule of Breiman et
al., Classification and Regression Trees, 1984; the best of many is ahead of one by chance alone).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.emission import emit_step
from tinytrain.compiler.host_library import host_library
from tinytrain.compiler.integers import IntegerModel
from tinytrain.compiler.options import Options
from tinytrain.compiler.race_lanes import SEEDS, Entrant, Lane, finalists_of, means, winner_of
from tinytrain.compiler.race_samples import MOST, Heat, RaceSamples, race_samples
from tinytrain.data import SampleSpec
from tinytrain.errors import ToolchainError
from tinytrain.ir.operations import macs_of
from tinytrain.manifest.rates import RaceRecord, RaceVariantRecord
from tinytrain.reference.schedule import parse_schedule, rate_at
from tinytrain.reference.significant import rounded
from tinytrain.simulation.library import HostLibrary, LibrarySamples
from tinytrain.simulation.stream import training_order

WIDTH = 100.0
"""Rates race from the limit down to so small a part of it."""

STEPS = 1000
LEAST_STEPS = 250
RUNS = 16
"""Of a race, about."""

WORK = 2e11
"""Multiplications that a race takes, about, at most; where it would take more, steps are fewer."""

Report = Callable[[str, int, int, str], None]
"""Called with a stage, how much of it is done, of how much, and a note."""


def with_race(
    compiled: Compiled,
    given: IntegerModel,
    spec: SampleSpec,
    report: Report = lambda stage, done, total, note: None,
) -> Compiled:
    """A training step with the rate and the schedule that win the race.

    Args:
        given: the model with its calibration samples.
        spec: of the compiled model's samples.
        report: hears of each run.

    Raises:
        UsageError, DataError: there are no samples to race on; see `race_samples`.
        ToolchainError: there is no C compiler for this machine.
    """
    library = library_of(compiled)
    samples = race_samples(compiled, given, spec, library, len(SEEDS))
    course = Course(compiled, library, samples)
    lanes = _run(course, entrants(compiled), report)
    winner = winner_of(lanes, compiled)
    options = replace(
        compiled.options, learning_rate=winner.variant.rate, schedule=winner.variant.schedule
    )
    record = course.record(lanes, winner)
    return replace(compiled, options=options, race=record)


def entrants(compiled: Compiled) -> list[Entrant]:
    """Those that race: a schedule other than the default is kept as the user chose it."""
    options, guidance = compiled.options, compiled.guidance
    default = Options().schedule
    schedules = [default, "constant"] if options.schedule == default else [options.schedule]
    suggested = compiled.rate
    limits = (4 * suggested if guidance.limit is None else guidance.limit, options.rate_limit)
    limit = min(one for one in limits if one is not None)
    ladder = (suggested * 10 ** (k / 2) for k in range(-8, 9))
    rates = [rounded(r, 2) for r in ladder if limit / WIDTH <= r <= limit]
    return [Entrant(rate, schedule) for schedule in schedules for rate in rates]


def _run(course: Course, entered: Sequence[Entrant], report: Report) -> list[Lane]:
    lanes = [Lane(variant) for variant in entered]
    total, done = len(lanes) + (len(SEEDS) - 1) * (len(lanes) // 2), 0

    def run(lane: Lane, seed: int) -> None:
        nonlocal done
        variant = lane.variant
        report("race", done, total, f"{variant.rate:g}, {variant.schedule}")
        new, old = course.run(variant, seed)
        lane.new.append(new)
        lane.old.append(old)
        done += 1

    for lane in lanes:
        run(lane, SEEDS[0])
    finalists = finalists_of(lanes, course.compiled)
    total = done + (len(SEEDS) - 1) * len(finalists)
    for lane in finalists:
        for seed in SEEDS[1:]:
            run(lane, seed)
    report("race", total, total, "done")
    return lanes


class Course:
    """A model in a library, and the samples that it learns."""

    def __init__(self, compiled: Compiled, library: HostLibrary, samples: RaceSamples) -> None:
        self.compiled, self._library, self._samples = compiled, library, samples
        self._counts_right = bool(compiled.classes)
        self.steps = _steps(compiled)
        library.init()
        self.before = [self._marks(heat) for heat in samples.heats]

    def run(self, variant: Entrant, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Trains from the factory state; how good it then is at the new samples, and the old."""
        options, library = self.compiled.options, self._library
        heat = self._samples.heats[seed % len(self._samples.heats)]
        library.init()
        schedule = parse_schedule(variant.schedule, options.warm_up)
        window = options.accumulate
        replayed, rehearsed = int(options.replay > 0), int(self.compiled.rehearsal is not None)
        # A step on a sample of before counts like any other.
        counts = range(0, self.steps * (1 + replayed + rehearsed), 1 + replayed + rehearsed)
        rates = [rate_at(schedule, variant.rate, t // window) for t in counts]
        library.train(
            heat.learn,
            training_order(len(heat.learn.targets), self.steps, seed),
            np.array(rates, np.float32),
            replay_steps=replayed,
            rehearsal_steps=rehearsed,
        )
        return self._marks(heat)

    def _marks(self, heat: Heat) -> tuple[np.ndarray, np.ndarray]:
        """Of each sample of the new world and of the old one; NaN where it did not judge."""
        new = self._judged(heat.judge, heat.judges)
        return new, np.empty(0) if heat.old is None else self._judged(heat.old, heat.old_judges)

    def _judged(self, samples: LibrarySamples, judges: np.ndarray) -> np.ndarray:
        marks = np.full(max(MOST, int(judges.max(initial=0)) + 1), np.nan)
        if self._counts_right:
            _, predicted = self._library.evaluate(samples)
            marks[judges] = predicted == samples.targets
            return marks
        losses, _ = self._library.score(samples)
        marks[judges] = np.where(np.isfinite(losses), -losses.astype(np.float64), -math.inf)
        return marks

    def record(self, lanes: Sequence[Lane], winner: Lane) -> RaceRecord:
        """For the manifest."""
        first = self._samples.heats[0]
        before = [self._shown(marks) for marks in zip(*self.before, strict=True)]
        rows = []
        for lane in lanes:
            seeds = len(lane.new)
            rows.append(
                RaceVariantRecord(
                    learning_rate=lane.variant.rate,
                    schedule=lane.variant.schedule,
                    seeds=seeds,
                    new=self._shown(lane.new),
                    old=self._shown(lane.old),
                )
            )
        return RaceRecord(
            measure="accuracy" if self._counts_right else "loss",
            keep=self.compiled.options.keep,
            changed=self._samples.changed,
            steps=self.steps,
            learned=len(first.learn.targets),
            judged=len(first.judge.targets),
            new_before=before[0],
            old_before=before[1],
            winner=lanes.index(winner),
            variants=tuple(rows),
        )

    def _shown(self, marks: Sequence[np.ndarray]) -> float | None:
        found = means(marks)
        if not found.size or not math.isfinite(mean := float(found.mean())):
            return None
        return rounded(mean if self._counts_right else -mean, 4)


def _steps(compiled: Compiled) -> int:
    """As many as the work of a whole race allows, the same on every machine."""
    forward = sum(macs_of(node) for node in compiled.forward.nodes)
    return int(min(max(WORK / (3 * RUNS * forward), LEAST_STEPS), STEPS))


def library_of(compiled: Compiled, *, plain: bool = True) -> HostLibrary:
    """The training step as a library of this machine.

    Args:
        plain: leaves the schedule out: the rate of each step is set from outside.
    """
    if plain:
        options = replace(compiled.options, schedule="constant", warm_up=0)
        compiled = replace(compiled, options=options)
    try:
        return host_library(emit_step(compiled))
    except ToolchainError as error:
        raise ToolchainError(
            f"a race of learning rates runs on this machine, where {error.what}",
            where=error.where,
            detail=error.detail,
            help=f"{error.help}; or leave out --learning-rate race",
        ) from error
