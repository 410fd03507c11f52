"""An enrolment session on the NumPy reference."""

from __future__ import annotations

import numpy as np

from tinytrain.reference.enrol import EnrolledClasses, Enrolment
from tinytrain.reference.features import Features
from tinytrain.reference.interpret import Machine
from tinytrain.simulation.engine import Evaluation, RawOutcome
from tinytrain.simulation.stream import SampleStream


def enrol_session(
    machine: Machine, enrolment: Enrolment, seed: int, stream: SampleStream
) -> RawOutcome:
    """Classifies, enrols and classifies again, as `simulate_enrol.c.j2` does.

    Args:
        machine: of the training graph; it does not change.

    Returns:
        with `saved` as a saved file has it, from the weights to what is enrolled.
    """
    enrolled = EnrolledClasses(enrolment, seed)
    features = Features(machine.graph)
    before = _classified(features, enrolled, enrolment, stream)
    for sample, label in stream.train_samples():
        enrolled.enrol(int(label), enrolment.codes(features.of(sample[None]))[0])
    after = _classified(features, enrolled, enrolment, stream)
    return RawOutcome(
        losses=np.zeros(stream.step_count, np.float32),
        predictions=(0,) * stream.step_count,
        before=before,
        after=after,
        weights=machine.weights_bytes(),
        saved=machine.weights_bytes() + enrolled.state_bytes(),
    )


def _classified(
    features: Features, enrolled: EnrolledClasses, enrolment: Enrolment, stream: SampleStream
) -> Evaluation:
    labels = []
    for sample, _ in stream.eval_samples():
        found = enrolled.classify(enrolment.codes(features.of(sample[None]))[0])
        labels.append(enrolment.classes if found is None else found.label)
    return Evaluation(tuple(labels))
