"""What a session showed, from what its engine observed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import Any

from tinytrain.losses import SampleTarget
from tinytrain.naming import as_written
from tinytrain.simulation.board_time import BoardTime, board_time
from tinytrain.simulation.engine import RawOutcome
from tinytrain.simulation.enrolment import EnrolmentReport, report_of
from tinytrain.simulation.folder import GeneratedFolder
from tinytrain.simulation.forgetting import ClassAccuracies
from tinytrain.simulation.guard import GuardSummary, guard_summary
from tinytrain.simulation.health import HealthReport, health_report
from tinytrain.simulation.scores import (
    Confusion,
    CurvePoint,
    OldTask,
    accuracy_new_of,
    best_point,
    classes_are_unequal,
    curve_point,
    forgetting_of,
    label_scores,
    loss_falls,
    mean_of,
    old_task,
    parted,
    recall_of,
    rehearsal_accuracy,
    rehearsal_loss,
    scores_of,
    steady_mean,
    stopped_at,
)
from tinytrain.simulation.scores import confusion as confusion_of
from tinytrain.simulation.stream import SampleStream
from tinytrain.simulation.unlabelled import UnlabelledReport, unlabelled_report

_COUNTED = {
    SampleTarget.LABEL: "samples",
    SampleTarget.PIXELS: "pixels",
    SampleTarget.SHARES: "labels",
    SampleTarget.VALUES: None,
}

LOSS_WINDOW = 50
"""Steps that `loss_first` and `loss_last` average at most."""


@dataclass(frozen=True)
class SimulationResult:
    """What a session showed; a figure that was not measured is None.

    Attributes:
        on: the engine that ran: "host" or "qemu", or the name of another one.
        steps: training steps done on new samples, with those that were skipped.
        unlabelled: what became of samples without labels; None where they have some.
        followed: samples over which drift was followed in place of training.
        replay_steps: on remembered ones after each of them; None without a replay buffer.
        rehearsal_steps: on samples of the rehearsal set; None without one.
        skipped: steps on new samples whose loss was NaN or infinite; they changed nothing.
        loss_first, loss_last: mean loss over the first and over the last w steps that were not
            skipped, where w = min(50, steps // 2), and 1 for a single step.
        accuracy_before, accuracy_after: share of evaluation samples whose predicted class is their
            label, 0 to 1; where a sample has a label for each pixel, or several at once, the share
            of all of them that are right.
        accuracy_of: what these two count: "samples", "pixels" or "labels"; None for a regression.
        accuracy_new: share of the new samples whose class was predicted right before the step.
        class_accuracy_before, class_accuracy_after: as accuracy, of each class alone; None for a
            class that the evaluation samples lack.
        forgetting: the mean over classes of the best accuracy that a class had in an evaluation,
            minus its last one.
        rehearsal_accuracy_before, rehearsal_accuracy_after: share of the rehearsal set that the
            model's own evaluation of it found predicted right, 0 to 1; None without one, or where
            nothing is a label.
        rehearsal_loss_before, rehearsal_loss_after: mean loss over it.
        mse_before, mse_after: squared error averaged over outputs and samples; for a regression.
        weights_sha256: of all trainable parameters after the last step, 64 hex digits.
        instructions_per_step, instructions_per_inference: mean number, the first reading left out;
            counted on an emulator with icount only.
        instructions_per_replay_step, instructions_per_rehearsal_step: the same of these steps.
        instructions_per_follow: the same of a sample that is followed.
        ram_bytes, flash_bytes: what the manifest promises.
        stack_used: deepest stack seen, in bytes.
        curve: evaluations between steps, in order.
        best: the one with the largest accuracy, or the smallest loss of a regression; the first of
            equals.
        stopped_at: training steps after which evaluations had been no better for too long.
        kept_bytes: of the frozen-activation cache, on the host.
        clipped_inputs, clipped_eval_inputs: share of the input values of the samples to learn from
            and of the evaluation samples that lie outside the range of the input, 0 to 1.
        warnings: sentences on data that is scaled otherwise than in calibration, or ambiguous.
        enrolment: what classes that are learned from a few samples showed, in the session after
            this one; None where the model enrols none.
        guard: what the model's guard did; None where it has none.
        health: what the model's counters say of this session; None where it has none.
        losses: of each step, as float32 holds them.
        predictions: the class predicted in each step; empty for a regression.
        saved: the saved file of the trained parameters; None if the engine writes none.
        unequal_classes: whether the classes of the evaluation samples are so unequal that their
            balanced accuracy says more: one has twice as many samples as another. None where
            samples have no class, or none are evaluated.
        balanced_accuracy_before, balanced_accuracy_after: the mean over classes of their accuracy.
        rehearsal_recall_before, rehearsal_recall_after: of each class of the rehearsal set.
        old: the same figures of the samples of the old task.
        confusion: what was taken for what, if asked for.
        board: how long a board took; None where none did.
    """

    on: str
    steps: int
    followed: int
    replay_steps: int | None
    rehearsal_steps: int | None
    skipped: int
    loss_first: float | None
    loss_last: float | None
    accuracy_before: float | None
    accuracy_after: float | None
    accuracy_of: str | None
    accuracy_new: float | None
    class_accuracy_before: ClassAccuracies | None
    class_accuracy_after: ClassAccuracies | None
    forgetting: float | None
    rehearsal_accuracy_before: float | None
    rehearsal_accuracy_after: float | None
    rehearsal_loss_before: float | None
    rehearsal_loss_after: float | None
    mse_before: float | None
    mse_after: float | None
    weights_sha256: str
    instructions_per_step: int | None
    instructions_per_replay_step: int | None
    instructions_per_rehearsal_step: int | None
    instructions_per_follow: int | None
    instructions_per_inference: int | None
    ram_bytes: int
    flash_bytes: int
    stack_used: int | None
    kept_bytes: int
    clipped_inputs: float
    clipped_eval_inputs: float | None
    warnings: tuple[str, ...]
    curve: tuple[CurvePoint, ...]
    best: CurvePoint | None
    stopped_at: int | None
    enrolment: EnrolmentReport | None
    guard: GuardSummary | None
    health: HealthReport | None = field(repr=False)
    losses: tuple[float, ...] = field(repr=False)
    predictions: tuple[int, ...] = field(repr=False)
    saved: bytes | None = field(repr=False)
    rehearsal_recall_before: ClassAccuracies | None = None
    rehearsal_recall_after: ClassAccuracies | None = None
    unequal_classes: bool | None = None
    balanced_accuracy_before: float | None = None
    balanced_accuracy_after: float | None = None
    old: OldTask | None = None
    confusion: Confusion | None = field(default=None, repr=False)
    unlabelled: UnlabelledReport | None = None
    board: BoardTime | None = None

    def to_json(self) -> str:
        """One JSON object of all figures; lists and files left out.

        A figure that is None or not finite (the loss of a training that diverged) is null.
        """
        figures = {
            name: value
            for name, value in dataclasses.asdict(self).items()
            if name not in ("losses", "predictions", "saved")
        }
        return json.dumps(_finite(figures), indent=2)


# house(function): a line for each figure
def summarize(
    folder: GeneratedFolder,
    stream: SampleStream,
    outcome: RawOutcome,
    *,
    on: str,
    confusion: bool = False,
) -> SimulationResult:
    """The result of a session from what its engine observed."""
    losses = tuple(float(loss) for loss in outcome.losses)
    judged, data = stream.judged_count, stream.evaluation
    parts = [parted(one, judged)[0] for one in (outcome.before, outcome.after)]
    before, after = (scores_of(part, data) for part in parts)
    matrix = None
    if confusion and data is not None:
        matrix = confusion_of(parts[0].predictions, parts[1].predictions, data)
    points = [point.predictions for point in outcome.checkpoints]
    between = [label_scores(found[:judged], data) for found in points]
    old = [label_scores(found[judged:], stream.old) for found in points]
    held = folder.manifest.rehearsal
    recalls = recall_of(outcome.rehearsal_before), recall_of(outcome.rehearsal_after)
    learned = tuple(filter(math.isfinite, losses))
    curve = tuple(map(curve_point, outcome.checkpoints, between, old))
    window = max(1, min(LOSS_WINDOW, len(learned) // 2))
    return SimulationResult(
        on=on,
        steps=len(losses),
        unlabelled=unlabelled_report(stream, outcome),
        followed=outcome.followed,
        replay_steps=stream.replay_steps,
        rehearsal_steps=stream.rehearsal_steps,
        skipped=len(losses) - len(learned),
        loss_first=mean_of(learned[:window]),
        loss_last=mean_of(learned[-window:]),
        accuracy_before=before.accuracy,
        accuracy_after=after.accuracy,
        accuracy_of=_COUNTED[stream.train.spec.wants],
        accuracy_new=accuracy_new_of(stream, outcome),
        class_accuracy_before=before.class_accuracy,
        class_accuracy_after=after.class_accuracy,
        forgetting=forgetting_of((before, *between, after)),
        rehearsal_accuracy_before=rehearsal_accuracy(held, outcome.rehearsal_before),
        rehearsal_accuracy_after=rehearsal_accuracy(held, outcome.rehearsal_after),
        rehearsal_recall_before=recalls[0],
        rehearsal_recall_after=recalls[1],
        rehearsal_loss_before=rehearsal_loss(outcome.rehearsal_before),
        rehearsal_loss_after=rehearsal_loss(outcome.rehearsal_after),
        mse_before=before.mse,
        mse_after=after.mse,
        weights_sha256=hashlib.sha256(outcome.weights).hexdigest(),
        instructions_per_step=steady_mean(outcome.step_instructions),
        instructions_per_replay_step=steady_mean(outcome.replay_instructions),
        instructions_per_rehearsal_step=steady_mean(outcome.rehearsal_instructions),
        instructions_per_follow=steady_mean(outcome.follow_instructions),
        instructions_per_inference=steady_mean(outcome.infer_instructions),
        ram_bytes=folder.manifest.ram["total"],
        flash_bytes=folder.manifest.flash["total"],
        stack_used=outcome.stack_used,
        curve=curve,
        best=best_point(outcome, curve),
        stopped_at=stopped_at(outcome),
        kept_bytes=outcome.kept_bytes,
        clipped_inputs=stream.train_coverage.share,
        clipped_eval_inputs=None if stream.eval_coverage is None else stream.eval_coverage.share,
        warnings=stream.warnings(),
        enrolment=None,
        guard=guard_summary(outcome.guard_checks),
        health=health_report(
            folder.manifest.health,
            outcome.health,
            rule=folder.manifest.rounding,
            fraction_bits=folder.manifest.fraction_bits,
            is_falling=loss_falls(learned, window),
            recall=recalls,
        ),
        losses=losses,
        predictions=outcome.predictions,
        saved=outcome.saved,
        unequal_classes=classes_are_unequal(data),
        balanced_accuracy_before=before.balanced_accuracy,
        balanced_accuracy_after=after.balanced_accuracy,
        old=None if stream.old is None else old_task(stream, outcome, old),
        confusion=matrix,
        board=board_time(folder, outcome),
    )


def with_enrolment(
    result: SimulationResult,
    folder: GeneratedFolder,
    stream: SampleStream,
    outcome: RawOutcome,
    *,
    confusion: bool,
) -> SimulationResult:
    """The result with what the session after it showed, in which samples were enrolled."""
    record = folder.manifest.enrolment
    assert record is not None
    report = report_of(
        record,
        stream,
        outcome,
        confusion=confusion,
        is_alone=not folder.manifest.trains,
    )
    return dataclasses.replace(result, enrolment=report, saved=outcome.saved)


def _finite(value: Any) -> Any:
    """The same with None for numbers that JSON cannot hold, and sentences as they are written."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, str):
        return as_written(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
