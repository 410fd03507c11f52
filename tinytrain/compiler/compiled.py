"""A training step as the compiler hands it on: planned, proved, ready to be emitted or run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinytrain.compiler.chosen_rate import enforced_limit, initial_rate, option_warnings
from tinytrain.compiler.guidance import Guidance
from tinytrain.compiler.model_end import ModelEnd, end_of
from tinytrain.compiler.options import Options
from tinytrain.emit.self_test import SelfTest
from tinytrain.ir.graph import Graph
from tinytrain.losses import SampleTarget
from tinytrain.manifest.choice import ChoiceRecord
from tinytrain.manifest.rates import RaceRecord
from tinytrain.plan.plan import Plan
from tinytrain.plan.within import MemoryOptimization
from tinytrain.reference.class_health import FADE_STEPS
from tinytrain.reference.enrol import Enrolment
from tinytrain.reference.machine import Scale
from tinytrain.reference.pseudo import PseudoLabels
from tinytrain.reference.rehearsal import RehearsalSet
from tinytrain.reference.significant import rounded
from tinytrain.scheme.scheme import Scheme

FEW_FOLLOWED = 32
"""Calibration samples below which the moments that are followed are a guess."""


@dataclass(frozen=True, eq=False)
class Compiled:
    """A training step ready to be emitted or run by the reference.

    Attributes:
        graph: scheduled; what the device runs, node by node.
        plan: of its arena.
        optimizations: what was done to make the plan small.
        scales: initial scales of the gradients.
        options: that it was compiled with.
        guidance: what is known of the scheme before it trains.
        forward: the s8 model before anything was trained.
        scheme: what trains.
        choice: how the scheme was chosen, if the compiler chose it.
        rehearsal: samples of before that the firmware carries.
        race: how the learning rate and the schedule were found, if they raced.
        enrolment: how classes are learned from a few samples, if they are.
        pseudo: when a sample without a label is trained on, if any is.
        calibrated: calibration samples that the model was compiled with.
        unused_labels: why the y of the calibration samples is not used; None where it is, or there
            is none.
        self_test: how the model tests itself, if it does.
        concurrent: plan of the forward pass between portions, if one may run there.
    """

    graph: Graph
    plan: Plan
    optimizations: tuple[MemoryOptimization, ...]
    scales: Mapping[str, Scale]
    options: Options
    guidance: Guidance
    forward: Graph
    scheme: Scheme
    choice: ChoiceRecord | None = None
    rehearsal: RehearsalSet | None = None
    race: RaceRecord | None = None
    enrolment: Enrolment | None = None
    pseudo: PseudoLabels | None = None
    calibrated: int = 0
    unused_labels: str | None = None
    self_test: SelfTest | None = None
    concurrent: Plan | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences on what is known to fail, none if nothing is."""
        of_set = () if self.rehearsal is None else self.rehearsal.warnings
        if self.enrolment is not None:
            of_set = (*of_set, *self._unknown(self.enrolment), *self._crowded(self.enrolment))
        if self.pseudo is not None:
            of_set = (*of_set, *self._taken_for_others(self.pseudo))
        if self.options.follow is not None and self.calibrated < FEW_FOLLOWED:
            of_set = (*of_set, self._guessed())
        if self.unused_labels is not None and self.classes and self.options.classes is None:
            left_out = f"the labels of the calibration samples are left out: {self.unused_labels}"
            of_set = (*of_set, left_out)
        if not self.graph.parameters:
            return of_set
        return (*option_warnings(self.options, self.guidance), *of_set)

    def _unknown(self, enrolment: Enrolment) -> tuple[str, ...]:
        """A sentence on the model's classes that enrolment does not know from the factory."""
        missing = self._missing(enrolment)
        if self.options.classes is not None or not missing:
            return ()
        of_some = f"of the model's classes {', '.join(missing)}"
        which = of_some if enrolment.labels.size else "of no class"
        return (
            f"enrolment knows nothing {which} from the factory: label calibration samples of each, "
            f"y from 0 to {self.classes - 1}, or enrol them on the device",
        )

    def _taken_for_others(self, pseudo: PseudoLabels) -> tuple[str, ...]:
        """A sentence on the model's classes that pseudo-labels do not know."""
        missing = self._missing(pseudo.known)
        if not missing:
            return ()
        return (
            f"--pseudo-labels does not know the model's classes {', '.join(missing)}, and may take "
            "samples of them for others: label calibration samples of each, y from 0 to "
            f"{self.classes - 1}",
        )

    def _missing(self, enrolment: Enrolment) -> list[str]:
        """The model's classes that have no prototype."""
        known = set(enrolment.labels.tolist())
        return [str(k) for k in range(min(self.classes, enrolment.classes)) if k not in known]

    def _crowded(self, enrolment: Enrolment) -> tuple[str, ...]:
        """A sentence on fewer slots, or labels, than the model has classes."""
        slots, room = enrolment.method.slots, enrolment.classes
        if room < self.classes:
            return (
                f"--enrol-classes {room} leaves out the model's classes from {room} to "
                f"{self.classes - 1}: enrolment knows none of them, and takes their samples for "
                "others",
            )
        if not slots or slots >= self.classes:
            return ()
        return (
            f"--enrol knn:{slots} keeps {slots} sample{'s' if slots > 1 else ''}, and the model "
            f"has {self.classes} classes: take {self.classes} slots or more, several for each "
            "class, or --enrol ncm",
        )

    def _guessed(self) -> str:
        """A sentence on what is normal by too few samples."""
        count = self.calibrated
        return (
            f"--follow brings channels back to what they were over {count} calibration "
            f"sample{'s' if count > 1 else ''}, which are too few to say what is normal: give a "
            "few hundred"
        )

    @property
    def rate(self) -> float:
        """The learning rate that the device begins with."""
        return initial_rate(self.options, self.guidance) if self.graph.parameters else 0.0

    @property
    def rate_limit(self) -> float:
        """The largest learning rate that the device takes."""
        return enforced_limit(self.options, self.guidance)

    @property
    def fade(self) -> float:
        """Steps times the learning rate after which a class that does not come has faded; 0 if
        nothing could be measured."""
        found = self.guidance
        if found.is_adam and found.suggested is not None:
            return 2.0 * FADE_STEPS * found.suggested
        pull = found.kernel * found.curvature / (1.0 - found.momentum)
        return rounded(FADE_STEPS / pull, 2) if pull else 0.0

    @property
    def end(self) -> ModelEnd:
        """What the network gives, and what the target of a sample is."""
        return end_of(self.forward, self.options)

    @property
    def classes(self) -> int:
        """Number of classes that a sample is labelled with; 0 where its target is no label."""
        return self.end.classes

    @property
    def wants(self) -> SampleTarget:
        """What the target of a sample is."""
        return self.end.wants

    @property
    def pixels(self) -> int:
        """Number of pixels with a label each; 1 where the target of a sample is anything else."""
        return self.end.pixels

    @property
    def output_size(self) -> int:
        """Elements of the network's output."""
        return self.end.outputs
