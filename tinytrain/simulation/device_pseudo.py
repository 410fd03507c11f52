"""What a device that learns from samples without labels can do beside all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinytrain.data.given import given_inputs
from tinytrain.errors import UsageError
from tinytrain.reference.pseudo import LEFT
from tinytrain.simulation.device_calls import DeviceCalls
from tinytrain.simulation.library import HostLibrary
from tinytrain.simulation.library_pseudo import JUDGED
from tinytrain.simulation.library_samples import LibrarySamples
from tinytrain.simulation.stream import no_targets


@dataclass(frozen=True, eq=False)
class UnlabelledResult:
    """What became of samples without labels. Distances are squared, as `tt_pseudo_result` has them.

    Attributes:
        labels: the class that each was trained on as one of, int32 [n]; -1 for one that was left
            alone.
        distances: to the nearest of what is known of its nearest class, uint32 [n].
        others: to the nearest of all other classes, uint32 [n].
        losses: of those that were taken, before the step on each, float32 [taken].
    """

    labels: np.ndarray
    distances: np.ndarray
    others: np.ndarray
    losses: np.ndarray

    @property
    def taken(self) -> int:
        """How many were trained on."""
        return int(np.count_nonzero(self.labels != LEFT))


class PseudoCalls(DeviceCalls):
    """The part of a `Device` that is about samples without labels."""

    def train_unlabelled(self, x: Any) -> UnlabelledResult:
        """Trains on a sample, or on each of a batch in order, if it lies close to a known class and
        far from all others, as on one of that class; leaves it alone otherwise.

        Args:
            x: as the class says.

        Raises:
            UsageError: the model was not compiled for it, or its guard has no labelled samples.
            DataError: x does not fit the model; then nothing was learned.
        """
        data, _ = given_inputs(x, self._spec)
        found = [np.zeros(0, JUDGED)]
        with self._running() as library:
            _check_pseudo(library)
            behind = 1 if library.model.rehearsal else 0
            for chunk in data.chunks():
                inputs = data.quantized(chunk)
                samples = LibrarySamples(no_targets(self._spec, len(inputs)), inputs)
                found.append(library.train_unlabelled(samples, rehearsal_steps=behind))
        judged = np.concatenate(found)
        return UnlabelledResult(
            judged["label"],
            judged["distance"],
            judged["other"],
            judged["loss"][judged["label"] != LEFT],
        )

    @property
    def unlabelled_counts(self) -> tuple[int, int]:
        """Samples that were trained on, and those that were left alone, since the factory state, as
        the health counters have them.

        Raises:
            UsageError: the model was not compiled for it, or counts nothing.
        """
        with self._running() as library:
            _check_pseudo(library)
            if self._folder.manifest.health is None:
                raise UsageError("the model counts nothing", help="compile it without --no-health")
            return library.unlabelled_counts()


def _check_pseudo(library: HostLibrary) -> None:
    if library.model.pseudo is None:
        raise UsageError(
            f"the model '{library.model.name}' learns from no sample without a label",
            help="compile it with pseudo_labels=True",
        )
