"""Trainings of a search, and what is known of them.

Whatever decides asks `Measured`, as if everything had been measured. Where something has not,
`NotMeasured` says what; once it is there the question is asked again from its beginning. So what
is decided depends on what was measured alone: not on how many processes measured, or how often a
search was interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinytrain.scheme.scheme import Scheme
from tinytrain.scheme.text import scheme_text
from tinytrain.searches.store import Store, key_of

KIND = "trainings"


@dataclass(frozen=True)
class TrialLength:
    """How long candidates train, and what judges them.

    Attributes:
        name: as people see it.
        steps: of each training.
        seeds: one training each.
        judges: samples that judge, of `samples`.
        samples: "judge", or "eval" for a report.
        digest: of the samples to report on; empty where others judge.
    """

    name: str
    steps: int
    seeds: tuple[int, ...]
    judges: int
    samples: str = "judge"
    digest: str = ""


@dataclass(frozen=True, eq=False)
class SearchTrial:
    """A candidate, how long it trains, and the seed of the order of its samples."""

    scheme: Scheme
    length: TrialLength
    seed: int

    @property
    def key(self) -> str:
        """The same for trainings that give the same."""
        length = self.length
        asked = (length.steps, length.judges, length.samples, length.digest, self.seed)
        return key_of(scheme_text(self.scheme), asked)

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.length.name}: {self.scheme.name}, seed {self.seed}"


@dataclass(frozen=True)
class Marks:
    """How good a candidate is by the judges: of each seed.

    Attributes:
        losses: infinite where one was not finite.
        accuracies: from 0 to 1.
    """

    losses: tuple[float, ...]
    accuracies: tuple[float, ...]

    @property
    def loss(self) -> float:
        """The mean."""
        return math.fsum(self.losses) / len(self.losses)

    @property
    def accuracy(self) -> float:
        """The mean."""
        return math.fsum(self.accuracies) / len(self.accuracies)

    @property
    def spread(self) -> float:
        """Standard deviation of the accuracies; 0 of one."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else 0.0


class NotMeasured(Exception):
    """What has to be measured before a question can be answered."""

    def __init__(self, trainings: Sequence[SearchTrial]) -> None:
        super().__init__(f"{len(trainings)} trainings")
        self.trainings = tuple(trainings)


class Measured:
    """What is known of trainings, by way of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def marks(self, schemes: Sequence[Scheme], length: TrialLength) -> list[Marks]:
        """Of each candidate.

        Raises:
            NotMeasured: of some there is nothing yet; names all of these.
        """
        asked = [[SearchTrial(scheme, length, seed) for seed in length.seeds] for scheme in schemes]
        missing = {
            one.key: one for row in asked for one in row if self._store.read(KIND, one.key) is None
        }
        if missing:
            raise NotMeasured(list(missing.values()))
        return [self._marks(row) for row in asked]

    def known(self, scheme: Scheme, length: TrialLength) -> Marks | None:
        """The same of one candidate, None where it was not measured whole."""
        try:
            return self.marks([scheme], length)[0]
        except NotMeasured:
            return None

    def keep(self, training: SearchTrial, record: Mapping[str, Any]) -> None:
        """Takes what a training gave: `loss`, None where it was not finite, and `accuracy`."""
        text = scheme_text(training.scheme)
        self._store.keep(KIND, training.key, training.title, {**record, "scheme": text})

    def _marks(self, row: Sequence[SearchTrial]) -> Marks:
        records = [self._store.read(KIND, one.key) or {} for one in row]
        losses = (math.inf if r["loss"] is None else float(r["loss"]) for r in records)
        return Marks(tuple(losses), tuple(float(r["accuracy"]) for r in records))
