"""A session on the NumPy reference: the same stream, the same hashes, no C."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from tinytrain.errors import UsageError
from tinytrain.ir.graph import Graph, Value
from tinytrain.ir.types import DType
from tinytrain.reference.class_health import absent_after
from tinytrain.reference.enrol import EnrolledClasses, Enrolment
from tinytrain.reference.follow import saved_moments
from tinytrain.reference.health import Health
from tinytrain.reference.interpret import Machine
from tinytrain.reference.loss import prediction
from tinytrain.reference.machine import Scale
from tinytrain.reference.metrics import EarlyStop, Metrics, right_of
from tinytrain.reference.packed import step_inputs
from tinytrain.reference.pseudo import LEFT, PseudoLabels
from tinytrain.reference.rehearsal import RehearsalSet
from tinytrain.reference.replay import ReplayBuffer
from tinytrain.reference.schedule import CONSTANT, RateSchedule
from tinytrain.simulation.engine import (
    Checkpoint,
    Evaluation,
    Progress,
    RawOutcome,
    RehearsalScore,
)
from tinytrain.simulation.reference_enrolment import enrol_session
from tinytrain.simulation.reference_guard import guarded_machine
from tinytrain.simulation.reference_pseudo import PseudoLabeller
from tinytrain.simulation.reference_state import state_bytes
from tinytrain.simulation.stream import SampleStream


class ReferenceEngine:
    """Runs a scheduled training graph.

    Args:
        graph: what the folder was emitted from.
        scales: initial scales of the gradients.
        rate: learning rate where the stream gives none.
        seed: of the random numbers that round updates.
        schedule: of the learning rate.
        slots, slots_in: of the replay buffer: how many, and ram or flash.
        rehearsal: samples that lie in flash.
        enrolment: how classes are learned from a few samples, if they are.
        fade: steps at a learning rate of 1 after which a class that does not come fades.
        guard_interval: steps from one check of a guard to the next; 0 without a guard.
        pseudo: when a sample without a label is trained on, if any is.
    """

    # house(parameters): all that a model consists of
    def __init__(
        self,
        graph: Graph,
        scales: Mapping[str, Scale],
        rate: float,
        seed: int,
        schedule: RateSchedule = CONSTANT,
        slots: int = 0,
        slots_in: str = "ram",
        rehearsal: RehearsalSet | None = None,
        enrolment: Enrolment | None = None,
        fade: float = 0.0,
        guard_interval: int = 0,
        pseudo: PseudoLabels | None = None,
    ) -> None:
        assert graph.target is not None, "a training graph has a target"
        self._graph = graph
        self._target = graph.target
        self._inputs = partial(step_inputs, graph)
        self._scales = scales
        self._rate = rate
        self._seed = seed
        self._schedule = schedule
        self._slots, self._slots_in = slots, slots_in
        self._rehearsal = rehearsal
        self._enrolment = enrolment
        self._fade = fade
        self._guard_interval = guard_interval
        self._pseudo = pseudo

    # house(function): the session in the order of docs/arithmetic.md
    def run(self, stream: SampleStream, progress: Progress) -> RawOutcome:
        """See `Engine`.

        Raises:
            UsageError: the stream starts from saved parameters, which only a device can load.
        """
        if stream.parameters_in is not None:
            raise UsageError("the reference starts from the factory state only")
        rate = self._rate if stream.learning_rate is None else stream.learning_rate
        machine = Machine(
            self._graph,
            rate=float(np.float32(rate)),
            schedule=self._schedule,
            seed=self._seed,
        )
        for name, scale in self._scales.items():
            machine.scales[name] = replace(scale)
        target = self._target
        if stream.enrols:
            assert self._enrolment is not None, "the model enrols no classes"
            return enrol_session(machine, self._enrolment, self._seed, stream)
        loss, output = self._graph.outputs[:2]
        before = self._evaluate(machine, stream, progress, "evaluate before")
        held = None if stream.rehearsal_steps is None else self._rehearsal
        rehearsal_before = self._score(machine, held)
        losses, predictions = [], []
        is_regression = target.type.dtype is not DType.S32
        classes = 1 if is_regression else max(2, output.type.size)
        buffer = ReplayBuffer(self._slots, classes, self._seed)
        remembered: dict[int, dict[str, np.ndarray]] = {}
        for sample, wanted in stream.fill_samples():
            slot = buffer.offer(0 if is_regression else int(wanted))
            if slot is not None:
                remembered[slot] = self._inputs(sample, wanted)
        memory: dict[str, Any] = {"buffer": buffer, "remembered": remembered, "rehearsed": 0}
        guarded = None
        if self._guard_interval and stream.is_guarded:
            apart = [self._inputs(*pair) for pair in stream.kept_samples()]
            if self._rehearsal is not None:
                apart += map(self._inputs, self._rehearsal.inputs, self._rehearsal.targets)
            guarded = guarded_machine(machine, self._guard_interval, apart, memory)
        checkpoints: list[Checkpoint] = []
        early_stop = EarlyStop(stream.patience)
        if stream.follows:
            return self._follow(machine, stream, progress, before)
        labeller = None
        if stream.unlabelled:
            assert self._pseudo is not None, "the model gives no pseudo-labels"
            labeller = PseudoLabeller(self._graph, self._pseudo, self._seed)
        done = 0
        for sample, wanted in stream.train_samples():
            if guarded is not None:
                guarded.check(done)
            done += 1
            if labeller is not None:
                wanted = np.array(labeller.label(sample, machine.guard), np.int32)
            if labeller is None or wanted != LEFT:
                known = self._learn(machine, stream, memory, sample, wanted)
                losses.append(known[loss][0])
                if not is_regression:
                    predictions.append(prediction(known[output]))
            note = f"loss {losses[-1]:.4f}" if losses else ""
            progress("train", done, stream.step_count, note)
            if stream.evaluate_every and done % stream.evaluate_every == 0:
                checkpoints.append(self._checkpoint(machine, stream, done, early_stop))
                if checkpoints[-1].verdict == "stop":
                    break
        if guarded is not None:
            guarded.check(done, is_last=True)
        after = self._evaluate(machine, stream, progress, "evaluate after")
        weights = machine.weights_bytes()
        buffered = memory["buffer"].state_bytes() if self._slots else b""
        extra = buffered if self._slots_in == "flash" else b""
        extra += b"" if self._rehearsal is None else struct.pack("<I", memory["rehearsed"])
        extra += b"" if guarded is None else guarded.guard.state_bytes()
        if self._enrolment is not None:  # nothing is enrolled in this session
            extra += EnrolledClasses(self._enrolment, self._seed).state_bytes()
        extra += b"" if machine.class_counts is None else machine.class_counts.tobytes()
        extra += saved_moments(machine.followed.values())
        return RawOutcome(
            losses=np.array(losses, np.float32),
            predictions=tuple(predictions),
            before=before,
            after=after,
            weights=weights,
            saved=weights + extra + state_bytes(machine, self._rate),
            samples=b"" if self._slots_in == "flash" else buffered,
            checkpoints=tuple(checkpoints),
            health=self._health(machine, labeller),
            pseudo_labels=() if labeller is None else tuple(labeller.found),
            guard_checks=() if guarded is None else tuple(guarded.checks),
            rehearsal_before=rehearsal_before,
            rehearsal_after=self._score(machine, held),
        )

    def _learn(
        self,
        machine: Machine,
        stream: SampleStream,
        memory: dict[str, Any],
        sample: np.ndarray,
        wanted: np.ndarray,
    ) -> dict[Value, np.ndarray]:
        """A step on a new sample and those on samples of before behind it; what the first gave."""
        inputs = self._inputs(sample, wanted)
        is_label = self._target.type.dtype is DType.S32
        if stream.replay_steps is not None:
            slot = memory["buffer"].offer(int(wanted) if is_label else 0)
            if slot is not None:
                memory["remembered"][slot] = inputs
        known = machine.run(inputs, is_again=stream.unlabelled)
        for _ in range(stream.replay_steps or 0):
            again = memory["buffer"].draw_slot()
            assert again is not None, "the first sample is always kept"
            machine.run(memory["remembered"][again], is_again=True)
        for _ in range(stream.rehearsal_steps or 0):
            held = self._rehearsal
            assert held is not None, "the model has a rehearsal set"
            again = held.slot(memory["rehearsed"], self._seed)
            kept = self._inputs(held.inputs[again], held.targets[again])
            machine.run(kept, is_again=True)
            memory["rehearsed"] = (memory["rehearsed"] + 1) % 2**32
        return known

    def _score(self, machine: Machine, held: RehearsalSet | None) -> RehearsalScore | None:
        """As `NAME_evaluate_rehearsal` adds it up; None without a set."""
        if held is None:
            return None
        trial = machine.trial(with_loss=True)
        loss, output = self._graph.outputs[:2]
        metrics, right = Metrics(), []
        for sample, wanted in zip(held.inputs, held.targets, strict=True):
            known = trial.run(self._inputs(sample, wanted))
            right.append(bool(held.labels) and prediction(known[output]) == int(wanted))
            metrics.add(known[loss][0], is_correct=right[-1])
        recall = np.full(max(2, output.type.size) if held.labels else 0, -1, np.float32)
        for label, start, end in zip(held.labels, held.first, held.first[1:], strict=False):
            recall[label] = np.float32(sum(right[start:end])) / np.float32(end - start)
        return RehearsalScore(metrics.correct, float(metrics.loss), tuple(recall.tolist()))

    def _follow(
        self, machine: Machine, stream: SampleStream, progress: Progress, before: Evaluation
    ) -> RawOutcome:
        """A session that follows drift and trains nothing."""
        trial, predictions = machine.trial(with_loss=False), []
        trial.follows = True
        for index, (sample, nothing) in enumerate(stream.train_samples()):
            known = trial.run(self._inputs(sample, nothing))
            if self._target.type.dtype is DType.S32:
                predictions.append(prediction(known[self._graph.outputs[1]]))
            progress("follow", index + 1, stream.step_count, "")
        weights = machine.weights_bytes()
        return RawOutcome(
            losses=np.empty(0, np.float32),
            predictions=tuple(predictions),
            before=before,
            after=self._evaluate(machine, stream, progress, "evaluate after"),
            weights=weights,
            saved=weights
            + saved_moments(machine.followed.values())
            + state_bytes(machine, self._rate),
            health=machine.health,
            followed=stream.step_count,
        )

    def _health(self, machine: Machine, labeller: PseudoLabeller | None) -> Health:
        found = machine.health if labeller is None else labeller.counted(machine.health)
        if not found.classes:
            return found
        after = absent_after(len(found.classes), self._fade, machine.rate)
        return replace(found, absent_after=after)

    def _checkpoint(
        self, machine: Machine, stream: SampleStream, step: int, early_stop: EarlyStop
    ) -> Checkpoint:
        """An evaluation with the loss, as `evaluate_between` of main.c adds it up."""
        trial = machine.trial(with_loss=True)
        loss, output = self._graph.outputs[:2]
        is_classification = self._target.type.dtype is DType.S32
        metrics, predictions = Metrics(), []
        for index, (sample, wanted) in enumerate(stream.eval_samples()):
            known = trial.run(self._inputs(sample, wanted))
            if is_classification:
                predictions.append(prediction(known[output]))
            is_correct = is_classification and predictions[-1] == wanted
            if index < stream.judged_count:
                metrics.add(known[loss][0], is_correct=bool(is_correct))
        verdict = early_stop.add(metrics.accuracy if is_classification else -metrics.loss)
        found = float(metrics.loss)
        return Checkpoint(step, metrics.correct, found, verdict, tuple(predictions))

    def _evaluate(
        self, machine: Machine, stream: SampleStream, progress: Progress, stage: str
    ) -> Evaluation:
        trial = machine.trial(with_loss=False)
        target, output = self._target, self._graph.outputs[1]
        predictions, squares, right = [], [], []
        nothing = np.zeros(target.type.shape, target.type.dtype.numpy)
        for index, (sample, wanted) in enumerate(stream.eval_samples()):
            known = trial.run(self._inputs(sample, nothing))
            if target.type.dtype is DType.S32:
                predictions.append(prediction(known[output]))
            elif (count := right_of(self._graph, known[output], wanted)) is not None:
                right.append(count)
            else:
                difference = (known[output].ravel() - np.ravel(wanted)).astype(np.float64)
                squares.append(float(np.cumsum(difference * difference)[-1]))
            progress(stage, index + 1, stream.eval_count, "")
        return Evaluation(tuple(predictions), tuple(squares), tuple(right))
