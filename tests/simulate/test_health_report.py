"""Counters as a report, its thresholds and its sentences."""

from __future__ import annotations

from typing import Any

import pytest

from tinytrain.cli.commands.simulate import print_health
from tinytrain.manifest.health import GradientCounterRecord, HealthRecord, UpdateCounterRecord
from tinytrain.naming import as_written
from tinytrain.reference.class_health import ClassCounts
from tinytrain.reference.health import GradientHealth, Health, UpdateHealth
from tinytrain.simulation.health import HealthReport, health_report


def counters(tensors: int = 2) -> HealthRecord:
    kinds = ("weights", "bias")
    return HealthRecord(
        gradients=(GradientCounterRecord(name="conv_1_conv2d_grad_input", layer="conv_1"),),
        updates=tuple(
            UpdateCounterRecord(
                name=f"{kinds[k % 2]} of conv_{k}",
                layer="a",
                elements=640,
                at_end=3,
                is_logits=False,
            )
            for k in range(tensors)
        ),
        classes=0,
    )


def report_of(
    found: Health, rule: str = "nearest", bits: int = 4, tensors: int = 2
) -> HealthReport:
    report = health_report(counters(tensors), found, rule=rule, fraction_bits=bits)
    assert report is not None
    return report


def health(
    saturated: int = 0, lost: int = 0, at_end: int = 3, skipped: int = 0, tensors: int = 2
) -> Health:
    return Health(
        steps=160,
        skipped=skipped,
        gradients=[GradientHealth(saturated, 1, 2)],
        updates=[UpdateHealth(1000, lost) for _ in range(tensors)],
        at_end=[at_end] * tensors,
    )


def advice(found: Health, **options: Any) -> tuple[str, ...]:
    return report_of(found, **options).advice


def test_thresholds_are_not_advice() -> None:
    assert advice(health(saturated=10, lost=900, at_end=13)) == ()
    assert advice(health(lost=990), rule="stochastic") == ()


def test_lost_updates() -> None:
    both = "updates of weights of conv_0, bias of conv_1 are lost to rounding: use"
    assert advice(health(lost=901)) == (
        f"{both} stochastic rounding or more fraction bits or a larger learning rate",
    )
    assert advice(health(lost=991), rule="stochastic") == (
        f"{both} more fraction bits or a larger learning rate",
    )
    assert advice(health(lost=991), rule="stochastic", bits=8) == (
        f"{both} a larger learning rate",
    )


def test_many_names_are_cut() -> None:
    (sentence,) = advice(health(lost=1000, tensors=6), tensors=6)
    assert "weights of conv_2, bias of conv_3 and 2 more are lost" in sentence


def test_weights_at_an_end_cut_gradients_and_skipped_steps() -> None:
    assert advice(health(at_end=14)) == (
        "weights of conv_0, bias of conv_1 have come to the end of their range: use a smaller "
        "learning rate or weight decay",
    )
    assert advice(health(saturated=11)) == (
        "the gradients of conv_1_conv2d_grad_input are cut in more than one step of 16: use "
        "gradients in s16 or a smaller learning rate",
    )
    (sentence,) = advice(health(skipped=4))
    assert sentence.startswith("4 of 160 steps were skipped")


def test_a_short_session_says_nothing() -> None:
    found = health(saturated=5)
    found.steps = 5
    found.updates = [UpdateHealth(63, 63), UpdateHealth(0, 0)]
    assert advice(found) == ()


def test_a_model_without_counters_has_no_report() -> None:
    assert health_report(None, None, rule="nearest", fraction_bits=4) is None
    assert health_report(counters(), None, rule="nearest", fraction_bits=4) is None


def test_what_a_person_sees(capsys: pytest.CaptureFixture[str]) -> None:
    print_health(report_of(health(saturated=16, lost=1000, at_end=640)))
    shown = capsys.readouterr().out
    for part in ("cut in 10% of the steps", "100.0% of updates lost", "640 of 640 at an end"):
        assert part in shown
    assert shown.count("health: ") == 3
    print_health(report_of(health()))
    assert capsys.readouterr().out == "health: all counters are within their thresholds\n"


def logits(at_end: int, *, is_falling: bool | None) -> tuple[str, ...]:
    """The advice for a head of 480 weights, so many of them at an end."""
    record = HealthRecord(
        gradients=(),
        updates=(
            UpdateCounterRecord(
                name="weights of head", layer="head", elements=480, at_end=0, is_logits=True
            ),
        ),
        classes=0,
    )
    found = Health(steps=900, updates=[UpdateHealth(1000, 0)], at_end=[at_end])
    report = health_report(record, found, rule="stochastic", fraction_bits=4, is_falling=is_falling)
    assert report is not None
    return report.advice


def test_ends_of_a_head_are_harm_only_where_the_loss_does_not_fall() -> None:
    assert logits(55, is_falling=True) == ()
    for is_falling in (False, None):
        (sentence,) = logits(55, is_falling=is_falling)
        assert "weights of head have come to the end of their range" in sentence


def classes(*counts: tuple[int, int, int], after: int = 32) -> tuple[str, ...]:
    """The advice for classes with these labels, predictions and steps since."""
    found = health()
    found.classes = [
        ClassCounts(labels, 0, predicted, since) for labels, predicted, since in counts
    ]
    found.absent_after = after
    return advice(found)


def test_a_class_that_is_absent_or_fades() -> None:
    assert classes((50, 50, 0), (50, 50, 3), (0, 0, 31)) == ()
    (alone,) = classes((192, 192, 0), (0, 0, 400))
    assert alone.startswith("all of the latest 192 steps had label 0, and a model that sees one")
    (absent,) = classes((50, 50, 0), (50, 50, 3), (1, 0, 1167))
    assert absent.startswith("class 2 has not come for 1,167 steps, and from 32 on what")
    # Two of a hundred steps: a gap of 150 is not four times the usual one, 200 is.
    assert classes((98, 98, 0), (2, 2, 150)) == ()
    (rare,) = classes((98, 98, 0), (2, 2, 200))
    assert rare.startswith("class 1 has not come for 200 steps")
    assert classes((80, 98, 0), (8, 2, 0)) == ()
    (fading,) = classes((80, 99, 0), (20, 4, 0), (7, 0, 5))
    assert fading.startswith("class 1 has been predicted less than a quarter as often as the label")
    counted = "(class 1: 4 to 20 of the latest steps): use"
    assert f"{counted} --class-weights balanced, or --replay" in as_written(fading)
    assert f"{counted} class_weights='balanced', or replay=" in fading
    (many,) = classes((50, 50, 0), (50, 50, 1), *[(0, 0, 99)] * 6)
    assert many.startswith("classes 2, 3, 4, 5 and 2 more have not come for 99 steps")
