"""Ways to adapt to a case: a row each, with what a seed of it gives."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.adapting import running
from bench.adapting.cases import Case
from bench.adapting.running import Runner, Scores
from tinytrain.compiler.folder import Product
from tinytrain.experiments.learner import Samples
from tinytrain.simulation.library import LibrarySamples

EVALUATED = 50
"""Samples that the float network evaluates at once."""

SEEDS = (0, 1, 2)
SLOTS = 128
"""Samples that are kept where the nearest of them decides."""

Learn = Callable[[Runner, Product, int], tuple[Scores, Scores | None]]
"""From a compiled case and a seed to scores of the new world and of the old one, after learning."""


@dataclass(frozen=True)
class Method:
    """A way to adapt.

    Attributes:
        title: as the tables name it.
        options: of `compile`, for a case.
        learn: what a seed gives.
        samples: that a device is given, one at a time.
        spent: what it does with each, as `instructions_per_...` of a simulation.
        fits: whether a case can have it.
        ships: whether it is C of a device.
    """

    title: str
    options: Callable[[Case], dict[str, Any]]
    learn: Learn
    samples: Callable[[Case], int] = lambda case: case.steps
    spent: tuple[str, ...] = ("step",)
    fits: Callable[[Case], bool] = lambda case: True
    ships: bool = True


def _defaults(case: Case) -> dict[str, Any]:
    return {"keep": case.keep}


def _with_rehearsal(case: Case) -> dict[str, Any]:
    """The set keeps the old task, so that the rate is the one of the new task alone."""
    return {"rehearse": running.files(case)["calibration"]}


def _enrolling(how: str) -> Callable[[Case], dict[str, Any]]:
    return lambda case: {"scheme": "head", "enrol": how}


def _by_enrolment(runner: Runner, product: Product, seed: int) -> tuple[Scores, Scores | None]:
    """Each sample is enrolled once, in the order of the seed; no weight changes."""
    runner.library.init()
    order = runner.order(seed=seed, steps=len(runner.learn.targets))
    runner.library.enrolment.enrol(runner.learn, order)
    return runner.both_enrolled()


def _each_once(case: Case) -> int:
    return len(case.parts().learn)


def _has_old_task(case: Case) -> bool:
    return case.parts().past is not None


def _on_device(runner: Runner, product: Product, seed: int) -> tuple[Scores, Scores | None]:
    outcome = runner.run(seed=seed)
    return outcome.own_after, outcome.past_after


def _in_float(runner: Runner, product: Product, seed: int) -> tuple[Scores, Scores | None]:
    """Float weights and activations; what trains, the rates and the order are the device's."""
    from tinytrain.experiments.baseline.float_learner import FloatLearner
    from tinytrain.experiments.worker import rate_of

    compiled = product.compiled
    learn, judge = runner.learn, runner.judge
    assert learn.inputs is not None and judge.inputs is not None
    samples = Samples(learn.inputs, learn.targets, judge.inputs, judge.targets)
    learner = FloatLearner(compiled, samples, rate_of(compiled, compiled.rate), seed, mode="float")
    learner.train(runner.order(seed=seed))

    def scores(samples: LibrarySamples) -> Scores:
        import torch

        assert samples.inputs is not None
        logits = []
        with torch.no_grad():
            for start in range(0, len(samples.targets), EVALUATED):
                frozen = learner.network.frozen(samples.inputs[start : start + EVALUATED])
                logits.append(learner.network.forward(frozen).numpy())
        predicted = np.concatenate(logits).argmax(1).astype(np.int32)
        return Scores(samples.targets, predicted, np.zeros(len(predicted), np.float32))

    return scores(judge), None if runner.past is None else scores(runner.past)


METHODS = {
    "device": Method("trained", _defaults, _on_device),
    "rehearse": Method(
        "rehearsed",
        _with_rehearsal,
        _on_device,
        spent=("step", "rehearsal_step"),
        fits=_has_old_task,
    ),
    "ncm": Method(
        "class mean",
        _enrolling("ncm"),
        _by_enrolment,
        samples=_each_once,
        spent=("enrolment",),
    ),
    "1-nn": Method(
        f"{SLOTS} samples",
        _enrolling(f"knn:{SLOTS}"),
        _by_enrolment,
        samples=_each_once,
        spent=("enrolment",),
    ),
    "float": Method("float, trained", _defaults, _in_float, ships=False),
}


def adapt(case: Case, method: Method) -> dict[str, Any]:
    """What each of `SEEDS` gives, which are of the order of the samples.

    Returns:
        "rate", "labels", and by "own" or "old" and "before" or "after" a list of balanced
        accuracies; None where there is no old world.
    """
    with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
        folder = Path(place) / "model"
        product = running.compiled(case, folder, **method.options(case))
        runner = Runner(case, folder)
        before = runner.both()
        after = [method.learn(runner, product, seed) for seed in SEEDS]
    found: dict[str, Any] = {"rate": product.compiled.rate, "labels": len(runner.learn.targets)}
    for k, world in enumerate(("own", "old")):
        first = before[k]
        ends = [scores.balanced for one in after if (scores := one[k]) is not None]
        found[f"{world}_before"] = None if first is None else [first.balanced] * len(SEEDS)
        found[f"{world}_after"] = ends or None
    return found
