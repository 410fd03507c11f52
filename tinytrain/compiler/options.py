"""What the user decides about a training step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinytrain.autodiff.differentiate import LOSSES, Loss
from tinytrain.errors import UsageError
from tinytrain.ir.types import DType
from tinytrain.passes.update import FRACTION_BITS, RULES, UpdateRule
from tinytrain.reference.replay import MAX_SLOTS
from tinytrain.reference.schedule import RateSchedule, parse_schedule

LARGEST_HEADROOM = 64.0
GRADIENTS = {"s8": DType.S8, "s16": DType.S16, "f32": DType.F32}
REPLAY_PLACES = ("ram", "flash")
FEEDS = ("whole", "rows")
MANIFEST_KEYS = {
    "update": "rule",
    "learning_rate": "rate",
    "warm_up": "warmup",
    "ranges": "method",
}
"""Keys of the manifest that stay as they were: by the name of the field."""


@dataclass(frozen=True)
class Options:
    """What the user decides. Every field is recorded in the manifest.

    Attributes:
        scheme: preset or scheme file.
        classes: size of a fresh classifier; None keeps the model's own head.
        loss: `cross_entropy` or `mean_squared_error`.
        gradient: dtype of the gradients: s8, s16 or f32.
        update: rounding of updates: stochastic or nearest.
        fraction_bits: kept below the s8 of each trained weight: 0, 2, 4 or 8.
        momentum: share of a velocity that the next step keeps, 0 to 0.999.
        accumulate: steps whose mean gradient is applied together, 1 to 65535.
        clip_norm: largest norm of the gradient that is applied; None does not clip.
        weight_decay: share of a weight that a step of rate 1 takes off it, 0 to 1.
        learning_rate: initial learning rate, 0 to 1024; None takes the one that is suggested.
        schedule: how it goes on: `constant`, `step:EVERY:FACTOR`, or `cosine:STEPS`, down to 0.
        warm_up: steps in which the rate rises linearly, before the schedule begins.
        label_smoothing: share of the target spread over all classes, 0 to below 1; for
            cross-entropy.
        qas: False leaves quantization-aware scaling out of the update, which is for comparison
            only.
        seed: of a fresh head, of random channel choice and of stochastic rounding.
        ranges: how ranges of a float model are chosen from the calibration samples.
        weight_headroom, range_headroom: factors, 1 to 64, by which the scales of trained weights
            and of the activations behind them are widened, for what training makes larger.
        replay: slots of the replay buffer, 0 to 65,535; 0 leaves it out.
        replay_in: where the slots lie: `ram`, or `flash` behind the application's callbacks.
        feed: how a sample arrives: `whole`, written into the arena, or in `rows`, one by one.
        recompute: share of a step's instructions, 0 to 1, that may be spent to run parts of the
            forward pass again where the RAM would not do otherwise.
        health: whether the model counts what goes wrong while it trains.
        name: C prefix; None takes the model file's name.
    """

    scheme: str = "full"
    classes: int | None = None
    loss: str = "cross_entropy"
    gradient: str = "s8"
    update: str = "stochastic"
    fraction_bits: int = 4
    momentum: float = 0.0
    accumulate: int = 1
    clip_norm: float | None = None
    weight_decay: float = 0.0
    learning_rate: float | None = None
    schedule: str = "constant"
    warm_up: int = 0
    label_smoothing: float = 0.0
    qas: bool = True
    seed: int = 0
    ranges: str = "mse"
    weight_headroom: float = 1.0
    range_headroom: float = 1.0
    replay: int = 0
    replay_in: str = "ram"
    feed: str = "whole"
    recompute: float = 0.0
    health: bool = True
    name: str | None = None

    def __post_init__(self) -> None:
        for what, value, known in (
            ("loss", self.loss, LOSSES),
            ("gradient", self.gradient, tuple(GRADIENTS)),
            ("update", self.update, RULES),
            ("fraction bits", self.fraction_bits, FRACTION_BITS),
            ("place of replay slots", self.replay_in, REPLAY_PLACES),
            ("way to feed a sample", self.feed, FEEDS),
        ):
            if value not in known:
                raise UsageError(
                    f"{what} '{value}' is unknown", help=f"use {', '.join(map(str, known))}"
                )
        for what, number, low, high in (
            ("learning rate", self.learning_rate or 0.0, 0.0, 1024.0),
            ("momentum", self.momentum, 0.0, 0.999),
            ("accumulation", self.accumulate, 1, 65_535),
            ("weight decay", self.weight_decay, 0.0, 1.0),
            ("share of instructions to compute again", self.recompute, 0.0, 1.0),
        ):
            if not low <= number <= high:
                raise UsageError(f"{what} {number} is not between {low:g} and {high:g}")
        if self.clip_norm is not None and not 2.0**-20 <= self.clip_norm <= 2.0**20:
            raise UsageError(f"norm {self.clip_norm} to clip at is not between 2^-20 and 2^20")
        parse_schedule(self.schedule, self.warm_up)
        if self.clip_norm is not None and not self.qas:
            raise UsageError(
                "without quantization-aware scaling there is no norm of the gradient to clip at",
                help="leave out one of both",
            )
        if not 0.0 <= float(np.float32(self.label_smoothing)) < 1.0:
            raise UsageError(
                f"label smoothing {self.label_smoothing} is not from 0 to below 1",
                help="0.1 is common",
            )
        if self.label_smoothing and self.loss != "cross_entropy":
            raise UsageError(
                f"the loss '{self.loss}' has no labels to smooth",
                help="leave label smoothing out, or take the loss cross_entropy",
            )
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"seed {self.seed} is not between 0 and 2^32 - 1")
        if not 0 <= self.replay <= MAX_SLOTS:
            raise UsageError(f"{self.replay} replay slots are not between 0 and {MAX_SLOTS}")
        for what, factor in (("weight", self.weight_headroom), ("range", self.range_headroom)):
            if not 1.0 <= factor <= LARGEST_HEADROOM:
                raise UsageError(
                    f"{what} headroom {factor} is not between 1 and {LARGEST_HEADROOM:g}",
                    help="use 4 to 8 to train from random weights, 1 to leave scales",
                )

    @property
    def rate_schedule(self) -> RateSchedule:
        """The rate of a step from its number."""
        return parse_schedule(self.schedule, self.warm_up)

    @property
    def objective(self) -> Loss:
        """What a step makes smaller."""
        return Loss(self.loss, float(np.float32(self.label_smoothing)))

    @property
    def update_rule(self) -> UpdateRule:
        """What becomes of a gradient."""
        return UpdateRule(
            self.update,
            self.fraction_bits,
            self.momentum,
            self.accumulate,
            self.clip_norm,
            self.weight_decay,
            self.qas,
        )
