"""What a program that calls a compiled model has to know of it."""

from __future__ import annotations

from dataclasses import dataclass

from tinytrain.losses import SampleTarget
from tinytrain.manifest.anomaly import AnomalyRecord
from tinytrain.manifest.enrolment import EnrolmentRecord
from tinytrain.manifest.follow import FollowRecord
from tinytrain.manifest.guard import GuardRecord
from tinytrain.manifest.pseudo import PseudoRecord
from tinytrain.manifest.records import ReplayRecord
from tinytrain.manifest.rehearsal import RehearsalRecord


@dataclass(frozen=True, kw_only=True)
class ModelInterface:
    """The C API of one model in figures: emission makes it, and a manifest holds all of it.

    Templates of programs around a model are filled in with its fields. None has a default, so that
    whoever makes one cannot forget what comes new.

    Attributes:
        name: prefix of the C functions.
        classes: that a sample is labelled with; 0 where its target is no label.
        wants: what that target is.
        pixels: labels of a sample where each pixel has one; else 1.
        input_sizes: elements of each input.
        output_size: elements of an output.
        saved_bytes: of a saved file.
        frozen_bytes: of the frozen activations of a sample; 0 where the first layer trains.
        feed_rows: rows that a sample is fed in, one by one; 0 where it is written as a whole.
        trains: whether there is anything to train.
        replay: the replay buffer, if there is one.
        rehearsal: the rehearsal set, if there is one.
        guard: the guard, if there is one.
        enrolment: classes that are learned from a few samples, if they are.
        pseudo: when a sample without a label is trained on, if any is.
        follow: the convolutions that follow drift, if any do.
        anomaly: how the model tells what is not normal, if it does.
    """

    name: str
    classes: int
    wants: SampleTarget
    pixels: int
    input_sizes: tuple[int, ...]
    output_size: int
    saved_bytes: int
    frozen_bytes: int
    feed_rows: int
    trains: bool
    replay: ReplayRecord | None
    rehearsal: RehearsalRecord | None
    guard: GuardRecord | None
    enrolment: EnrolmentRecord | None
    pseudo: PseudoRecord | None
    follow: FollowRecord | None
    anomaly: AnomalyRecord | None

    @property
    def input_size(self) -> int:
        """Elements of a sample."""
        return sum(self.input_sizes)

    @property
    def target_size(self) -> int:
        """Elements of a sample's target."""
        if self.wants is SampleTarget.LABEL:
            return 1
        return self.pixels if self.wants is SampleTarget.PIXELS else self.output_size
