"""One run, from a model's file to its curve; and what a rule costs on the target."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.folder import write_folder
from tinytrain.data.dataset import labelled
from tinytrain.experiments.data import Data
from tinytrain.experiments.engines import CLearner, make_learner
from tinytrain.experiments.learner import RateOf, Score
from tinytrain.experiments.prepared import prepared
from tinytrain.experiments.samples import input_coverage, integer_samples
from tinytrain.experiments.spec import Run
from tinytrain.reference.schedule import rate_at
from tinytrain.simulation.orders import by_class
from tinytrain.simulation.scores import are_unequal, balanced_accuracy
from tinytrain.simulation.session import simulate
from tinytrain.simulation.stream import training_order
from tinytrain.target import load_target

REPORT_STEPS = 200
"""Steps between two notes of progress."""

COUNTED_STEPS = 3
"""Steps on the emulator; the first reading of its counter is left out."""

Report = Callable[[str, int, int], None]
"""Called with a note and steps done of all steps."""


# house(function): one run from its beginning to its record, a step after the other
def run_to_record(run: Run, target: str, cache: Path, report: Report) -> dict[str, Any]:
    """Train, or enrol, and evaluate on the way.

    Args:
        target: whose kernels' layout is compiled; results are the same for all.
        cache: folder for what several runs share.

    Returns:
        What a run's file holds: `curve`, a list of step, accuracy, loss of the test samples and
        mean loss of the training steps since the last evaluation, with the balanced accuracy, and
        both of the samples of the old task; figures that are not finite or not measured are None.
        `unequal_classes`, whether the balanced accuracy says more; `class_accuracy` of each class
        after the last step. `not_finite`, steps whose loss was not finite, which the device skips.
        `clipped_inputs`, of each split the share of input values outside the range of the input,
        and `warnings`, sentences on data that is not scaled as in calibration. `images`, what
        uint8 images become, None where the data has none.
        `weights_sha256` of the C engine.

    Raises:
        TinytrainError: model, data or scheme do not fit.
    """
    report("compile", 0, 1)
    with prepared(run, target) as made:
        report("data", 0, 1)
        spec = made.spec
        samples, samples_key = integer_samples(made.data, spec, cache)
        covered = input_coverage(made.data, spec, cache)
    steps = made.steps
    report("frozen layers", 0, steps)
    learner = make_learner(
        run,
        made.compiled,
        samples,
        rate_of(made.compiled, run.rate),
        samples_key=samples_key,
        cache=cache,
    )
    skipped = 0
    order = training_order(len(samples.train_y), steps, run.seed)
    if run.order == "by-class":
        order = by_class(order, samples.train_y, made.data.classes, run.seed)
    curve: list[dict[str, Any]] = []
    losses: list[float] = []
    done = 0
    window = made.compiled.options.accumulate
    # A learner that takes several samples at once gets whole batches.
    chunk = window * max(1, REPORT_STEPS // window)
    for stop in [0, *evaluation_steps(steps, run.evaluations, window)]:
        while done < stop:
            part = order[done : min(done + chunk, stop)]
            found = learner.train(part)
            skipped += int(np.count_nonzero(~np.isfinite(found)))
            losses += found.tolist()
            done += len(part)
            report("" if not curve else f"accuracy {curve[-1]['accuracy']:.3f}", done, steps)
        score = learner.evaluate()
        curve.append(
            {
                "step": done,
                **_figures(score, made.data),
                "train_loss": _finite(math.fsum(losses) / len(losses)) if losses else None,
            }
        )
        losses = []
    said = {
        split: found.warning(spec, f"{run.data.name}, {split}") for split, found in covered.items()
    }
    record: dict[str, Any] = {
        "curve": curve,
        "not_finite": skipped,
        "unequal_classes": are_unequal(samples.test_y[: len(samples.test_y) - made.data.old]),
        "class_accuracy": list(_parts(score, made.data)[0].of_classes(made.data.classes)),
        "clipped_inputs": {split: found.share for split, found in covered.items()},
        "images": None if spec.preprocess is None else spec.preprocess.sentence(),
        "warnings": [sentence for sentence in said.values() if sentence is not None],
    }
    if isinstance(learner, CLearner):
        record["weights_sha256"] = learner.weights_sha256()
    return record


def cost_to_record(run: Run, target: str, instructions: bool) -> dict[str, Any]:
    """RAM of a rule on the target, and instructions of a step if asked for.

    Returns:
        `ram` by use with its total, `flash_total`, `frozen_bytes`, `instructions` or None.

    Raises:
        TinytrainError: as for a run; or it does not fit the target.
    """
    with (
        prepared(run, target) as made,
        tempfile.TemporaryDirectory(prefix="tinytrain-") as place,
    ):
        product = write_folder(
            made.compiled,
            Path(place) / "model",
            target=load_target(target),
            target_name=target,
            preprocess=made.preprocess,
        )
        counted = None
        if instructions:
            spec = made.spec
            split = made.data.train
            index = np.arange(min(COUNTED_STEPS, len(split.labels)))
            x = split.samples(index, (spec.shape[1], spec.shape[2]))
            few = labelled(x, split.labels[index], spec, split.where)
            found = simulate(product.directory, on="qemu", data=few, steps=len(index), icount=True)
            counted = (
                found.instructions_per_step
                if found.enrolment is None
                else found.enrolment.instructions_per_enrolment
            )
        manifest = product.manifest
        return {
            "ram": dict(manifest.ram),
            "flash_total": manifest.flash["total"],
            "frozen_bytes": manifest.frozen_bytes,
            "instructions": counted,
        }


def evaluation_steps(steps: int, evaluations: int, window: int) -> list[int]:
    """After which steps a run is evaluated: evenly spread, ascending, the last one at its end.

    Args:
        window: the others are multiples of it.
    """
    spread = {steps * (k + 1) // evaluations // window * window for k in range(evaluations)}
    return sorted((spread | {steps}) - {0})


def rate_of(compiled: Compiled, rate: float) -> RateOf:
    """The learning rate of each step, as the device computes it, from the one it starts with."""
    options = compiled.options
    schedule = options.rate_schedule
    return lambda step: float(rate_at(schedule, rate, step // options.accumulate))


def _parts(score: Score, data: Data) -> tuple[Score, Score | None]:
    """Of the test samples, and of those of the old task."""
    count = len(score.labels) - data.old
    return score.part(slice(count)), score.part(slice(count, None)) if data.old else None


def _figures(score: Score, data: Data) -> dict[str, float | None]:
    """Of one evaluation."""
    new, old = _parts(score, data)
    return {
        "accuracy": new.accuracy,
        "loss": _finite(new.loss),
        "balanced_accuracy": balanced_accuracy(new.of_classes(data.classes)),
        "accuracy_old": None if old is None else old.accuracy,
        "balanced_accuracy_old": None
        if old is None
        else balanced_accuracy(old.of_classes(data.classes)),
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
