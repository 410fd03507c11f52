"""Pseudo-labels of a model: the classes that a sample is compared with, and when it is taken."""

from __future__ import annotations

from dataclasses import dataclass

from tinytrain.emit.context import EmitContext
from tinytrain.emit.enrol import Enrol
from tinytrain.ir.graph import Value
from tinytrain.manifest.pseudo import PseudoRecord
from tinytrain.reference.pseudo import PseudoLabels


@dataclass(frozen=True)
class Pseudo:
    """What the templates name.

    Attributes:
        labels: what was prepared when the model was compiled.
        known: the classes, as enrolment holds them.
    """

    labels: PseudoLabels
    known: Enrol

    @classmethod
    def of(
        cls, labels: PseudoLabels | None, enrol: Enrol | None, context: EmitContext, x: Value
    ) -> Pseudo | None:
        """None without pseudo-labels.

        Args:
            enrol: the classes that can be enrolled, if they can; else only those of the factory
                are known.
            x: what the head reads.
        """
        if labels is None:
            return None
        known = enrol or Enrol.of(labels.known, context, x)
        assert known is not None, "classes are known"
        return cls(labels, known)

    def record(self) -> PseudoRecord:
        """What the manifest says of it."""
        found = self.labels
        return PseudoRecord(
            classes=len(found.known.labels),
            far=found.far,
            ratio=found.ratio,
            samples=found.samples,
            taken=found.taken,
            right=found.right,
        )
