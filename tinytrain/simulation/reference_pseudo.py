"""Samples without labels in a session on the NumPy reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinytrain.errors import DataError, Where
from tinytrain.ir.graph import Graph
from tinytrain.reference.enrol import EnrolledClasses
from tinytrain.reference.features import Features
from tinytrain.reference.guard import Guard
from tinytrain.reference.health import Health
from tinytrain.reference.pseudo import LEFT, PseudoLabels


class PseudoLabeller:
    """Gives samples pseudo-labels, as `NAME_train_unlabelled` does.

    Args:
        graph: that trains.
        pseudo: its thresholds, and the classes of the factory.
        seed: of the model.
    """

    def __init__(self, graph: Graph, pseudo: PseudoLabels, seed: int) -> None:
        self._pseudo, self._features = pseudo, Features(graph)
        self._classes = max(2, graph.outputs[1].type.size)
        self.enrolled = EnrolledClasses(pseudo.known, seed)
        self.found: list[int] = []

    def label(self, sample: np.ndarray, guard: Guard | None) -> int:
        """The pseudo-label of a packed sample; `LEFT` where it is left alone.

        Raises:
            DataError: the guard has seen no samples kept apart.
        """
        if guard is not None and not guard.best.count:
            raise DataError("the model refuses: TT_ERROR_EMPTY", where=Where("the reference"))
        code = self._pseudo.known.codes(self._features.of(sample[None]))[0]
        found = self.enrolled.classify(code)
        assert found is not None, "classes are known from the factory"
        self.found.append(self._pseudo.label_of(found, self._classes))
        return self.found[-1]

    def counted(self, health: Health) -> Health:
        """Counters of a session with those of its samples without labels."""
        left = self.found.count(LEFT)
        return replace(health, taken=len(self.found) - left, left=left)
