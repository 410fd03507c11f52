"""What the user decides about a training step: one row an option."""
# house(module): one table, with a row for each option

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import PurePath
from typing import Any

import numpy as np

from tinytrain.autodiff.differentiate import Loss
from tinytrain.compiler.class_weights import NONE, check_class_weights, heaviest, weights_in
from tinytrain.compiler.step_share import KEEP, Aim
from tinytrain.emit.anomaly import KINDS, AnomalyRequest
from tinytrain.errors import UsageError
from tinytrain.ir.rounding import Rounding
from tinytrain.ir.types import DType
from tinytrain.losses import AUTO, LOSSES, suited
from tinytrain.option import INTEGER, NUMBER, SHARE, SWITCH, Group, Option
from tinytrain.passes.replace_head import MAX_CLASSES
from tinytrain.passes.update import FRACTION_BITS, UpdateRule
from tinytrain.quantize.headroom import Headroom
from tinytrain.quantize.ranges import METHODS
from tinytrain.reference.anomaly import WARM_UPS
from tinytrain.reference.enrol import parse_method
from tinytrain.reference.replay import MAX_SLOTS
from tinytrain.reference.schedule import MAX_STEPS, RateSchedule, parse_schedule
from tinytrain.scheme.scheme import AUTO as CHOSEN
from tinytrain.scheme.scheme import NOTHING

GRADIENTS = {"s8": DType.S8, "s16": DType.S16, "f32": DType.F32}

TRAINED = Group("what trains", "which part of the model, and for what")
LEARNING = Group("learning", "how a gradient becomes an update")
RATE = Group("learning rate", "how long a step is, and how that changes")
ARITHMETIC = Group("arithmetic", "how numbers are stored and rounded")
MEMORY = Group("memory", "what RAM is spent on")
REPLAY = Group("replay", "samples that are kept, to train on again")
REHEARSAL = Group("rehearsal", "samples of before that lie in flash, to train on again")
GUARD = Group("guard", "learning that makes the model worse is undone")
ENROLMENT = Group("enrolment", "classes that are learned from a few samples, without a gradient")
PSEUDO = Group("pseudo-labels", "samples without labels that are sure enough are trained on")
DRIFT = Group("drift", "samples without labels bring a drifting input back")
ANOMALY = Group("anomaly", "what is normal is learned, and the rest is flagged")
PORTIONS = Group("portions", "a training step that nothing has to wait for")
OUTPUT = Group("output", "what is written")

OF_TRAINING = (LEARNING, REPLAY, REHEARSAL, GUARD, PSEUDO, PORTIONS)
"""What says nothing to a model that trains nothing."""


def _option(default: Any, group: Group, help: str, **row: Any) -> Any:
    return field(default=default, metadata={"option": Option(help, group, **row)})


@dataclass(frozen=True)
class Options:
    """What the user decides. `OPTIONS` has the range, the unit and the use of each field.

    Raises:
        UsageError: a value is out of its range, or two do not go together.
    """

    scheme: str = _option(
        "full",
        TRAINED,
        "what is trained: head, bias, last-K, full, none, a scheme file, or auto, by RAM and "
        "labelled calibration samples",
        words=("head", "bias", "full", NOTHING, CHOSEN),
        metavar="FILE|PRESET",
        experiment="[schemes]",
        see="choosing.md",
    )
    classes: int | None = _option(
        None,
        TRAINED,
        "replace the classifier by a fresh one of N classes",
        kind=INTEGER,
        low=2,
        high=MAX_CLASSES,
        metavar="N",
        experiment="`head` of a model",
    )
    loss: str = _option(
        AUTO,
        TRAINED,
        "what training minimizes; auto follows the end of the model",
        choices=(AUTO, *LOSSES),
        experiment="nothing: experiments are of classifiers",
        see="training.md#losses",
    )
    gradient: str = _option("s8", ARITHMETIC, "how gradients are stored", choices=tuple(GRADIENTS))
    update: str = _option(
        Rounding.STOCHASTIC.value,
        ARITHMETIC,
        "how an update is rounded",
        choices=tuple(rounding.value for rounding in Rounding),
        comparison=True,
        manifest="rule",
    )
    fraction_bits: int = _option(
        4,
        ARITHMETIC,
        "bits kept below each trained s8 weight, in RAM",
        kind=INTEGER,
        choices=FRACTION_BITS,
    )
    optimizer: str = _option(
        "sgd",
        LEARNING,
        "how a gradient becomes a step: sgd, or adam with a second moment for each output channel",
        choices=("sgd", "adam"),
        see="training.md#adam",
    )
    momentum: float = _option(
        0.0,
        LEARNING,
        "share of a velocity that the next step keeps",
        kind=NUMBER,
        low=0.0,
        high=0.999,
        metavar="M",
        in_pytorch=True,
    )
    accumulate: int = _option(
        1,
        LEARNING,
        "apply the mean gradient of K steps together",
        kind=INTEGER,
        low=1,
        high=65_535,
        metavar="K",
        in_pytorch=True,
    )
    clip_norm: float | None = _option(
        None,
        LEARNING,
        "scale the whole gradient down to a norm of C",
        kind=NUMBER,
        low=2.0**-20,
        high=2.0**20,
        metavar="C",
    )
    weight_decay: float = _option(
        0.0,
        LEARNING,
        "a step at rate R also shrinks each trained weight by the share R*D",
        kind=NUMBER,
        low=0.0,
        high=1.0,
        metavar="D",
        in_pytorch=True,
    )
    learning_rate: float | str | None = _option(
        None,
        RATE,
        "initial rate; auto takes what suits, race tries rates and schedules on labelled "
        "calibration samples",
        kind=NUMBER,
        low=0.0,
        high=1024.0,
        special="auto",
        words=("race",),
        metavar="R",
        manifest="rate",
        experiment="`rates`",
        see="training.md#which-learning-rate",
    )
    rate_limit: float | None = _option(
        None,
        RATE,
        "largest learning rate that the device takes; 1024 lifts the limit",
        kind=NUMBER,
        low=0.0,
        high=1024.0,
        special="auto",
        metavar="R",
        experiment="nothing: an experiment may try any rate",
        see="training.md#the-limit-of-the-learning-rate",
    )
    keep: str = _option(
        "new",
        RATE,
        "which task counts where a rate is suggested: the new one, or also the old one that the "
        "model ships with",
        choices=KEEP,
        see="training.md#which-learning-rate",
    )
    schedule: str = _option(
        "settle",
        RATE,
        "of the rate, on the device: constant, step:EVERY:FACTOR, cosine:STEPS, which ends at 0, "
        "or settle:STEPS:FLOOR",
        words=("constant", "cosine", "settle"),
        metavar="S",
        in_pytorch=True,
        see="training.md#the-rest-of-a-step",
    )
    warm_up: int = _option(
        0,
        RATE,
        "steps over which the learning rate rises, before the schedule begins",
        kind=INTEGER,
        low=0,
        high=MAX_STEPS,
        metavar="W",
        manifest="warmup",
        in_pytorch=True,
    )
    label_smoothing: float = _option(
        0.0,
        LEARNING,
        "share of the target spread over all classes",
        kind=NUMBER,
        low=0.0,
        high=1.0,
        below_high=True,
        metavar="E",
        advice="0.1 is common",
        in_pytorch=True,
    )
    class_weights: str = _option(
        NONE,
        LEARNING,
        "weights of classes in the loss: counted on the device, given, or by the labels of a file",
        words=(NONE, "balanced"),
        metavar="balanced|W,W,...|FILE.npz",
        in_pytorch=True,
        see="training.md#unequal-classes",
    )
    qas: bool = _option(
        True,
        ARITHMETIC,
        "leave quantization-aware scaling out of the update",
        kind=SWITCH,
        comparison=True,
        in_pytorch=True,
    )
    seed: int = _option(
        0,
        TRAINED,
        "seed of a fresh head, of random channels and of stochastic rounding",
        kind=INTEGER,
        low=0,
        high=2**32 - 1,
        metavar="N",
        comparison=True,
        experiment="`seeds`",
    )
    ranges: str = _option(
        next(iter(METHODS)),
        ARITHMETIC,
        "how the ranges of a float model are chosen from the calibration samples",
        choices=tuple(METHODS),
        comparison=True,
        manifest="method",
        in_pytorch=True,
    )
    weight_headroom: float = _option(
        1.0,
        ARITHMETIC,
        "let trained weights, and the activations behind them, grow H times as large",
        kind=NUMBER,
        low=1.0,
        high=64.0,
        metavar="H",
        advice="use 4 to 8 to train from random weights, 1 to leave scales",
        in_pytorch=True,
        see="training.md#from-random-weights",
    )
    range_headroom: float | None = _option(
        None,
        ARITHMETIC,
        "the factor of activations alone, where it is not that of the weights",
        kind=NUMBER,
        low=1.0,
        high=64.0,
        metavar="H",
        advice="leave it out to widen both alike",
        comparison=True,
        in_pytorch=True,
    )
    replay: int = _option(
        0,
        REPLAY,
        "number of samples to keep",
        kind=INTEGER,
        low=0,
        high=MAX_SLOTS,
        metavar="SLOTS",
        see="training.md#replay",
    )
    replay_in: str = _option(
        "ram",
        REPLAY,
        "where they are kept; flash is reached through callbacks of yours",
        choices=("ram", "flash"),
    )
    rehearsal_slots: int | None = _option(
        None,
        REHEARSAL,
        "how many, as many of each class; 64 by default, or a quarter of the flash; without "
        "--rehearse, of labelled calibration samples",
        kind=INTEGER,
        low=0,
        high=MAX_SLOTS,
        metavar="N",
        see="training.md#rehearsal",
    )
    guard: int = _option(
        0,
        GUARD,
        "steps from one check of the guard to the next, replayed and rehearsed ones included; 0 "
        "leaves the guard out",
        kind=INTEGER,
        low=0,
        high=MAX_STEPS,
        metavar="N",
        advice="128 is common",
        see="training.md#the-guard",
    )
    enrol: str | None = _option(
        None,
        ENROLMENT,
        "learn classes from a few samples: ncm by their means, knn:SLOTS[:K] by the nearest",
        words=("ncm",),
        metavar="METHOD",
        see="training.md#classes-from-a-handful-of-samples",
    )
    enrol_classes: int | None = _option(
        None,
        ENROLMENT,
        "labels that can be enrolled are below N; by default the classes of the model and 8 more",
        kind=INTEGER,
        low=1,
        high=MAX_SLOTS,
        metavar="N",
    )
    pseudo_labels: bool = _option(
        False,
        PSEUDO,
        "train on samples without labels that lie close to a known class; needs --guard or "
        "--rehearse",
        kind=SWITCH,
        experiment="nothing: an experiment trains with labels",
        see="training.md#pseudo-labels",
    )
    follow: str | None = _option(
        None,
        DRIFT,
        "frozen convolutions that follow drift: auto for all that suit, the first N, or names",
        words=("auto",),
        metavar="auto|N|LAYERS",
        experiment="nothing: an experiment trains",
        see="training.md#drift",
    )
    anomaly: str = _option(
        "off",
        ANOMALY,
        "flag what is not normal, by an autoencoder's error or by how far off the features are",
        choices=("off", *KINDS),
        experiment="nothing: experiments are of classifiers",
        see="training.md#what-is-not-normal",
    )
    anomaly_warm_up: int | None = _option(
        None,
        ANOMALY,
        "samples that are all taken as normal at first; auto is 256, or 4 a feature with "
        "covariances where that is more",
        kind=INTEGER,
        low=WARM_UPS[0],
        high=WARM_UPS[-1],
        special="auto",
        metavar="N",
        experiment="nothing",
    )
    anomaly_quantile: float = _option(
        0.98,
        ANOMALY,
        "share of the normal scores that lie below a quantile; 5/4 of the quantile is the "
        "threshold",
        kind=NUMBER,
        low=0.5,
        high=0.9999,
        metavar="Q",
        experiment="nothing",
    )
    anomaly_in_a_row: int = _option(
        3,
        ANOMALY,
        "samples in a row that change the verdict",
        kind=INTEGER,
        low=1,
        high=1000,
        metavar="K",
        experiment="nothing",
    )
    feed: str = _option(
        "whole",
        MEMORY,
        "how a sample arrives: as a whole, or in rows, which needs no buffer for the input",
        choices=("whole", "rows"),
        see="memory.md#line-buffering",
    )
    recompute: float = _option(
        0.0,
        MEMORY,
        "share of a step's instructions that may go into computing activations again, if it does "
        "not fit into the RAM otherwise",
        kind=SHARE,
        low=0.0,
        high=1.0,
        metavar="SHARE",
        see="memory.md#rematerialization",
    )
    portions: float = _option(
        0.0,
        PORTIONS,
        "cut a training step into portions, none longer than this share of it where it can be cut; "
        "0% runs it whole",
        kind=SHARE,
        low=0.0,
        high=1.0,
        metavar="SHARE",
        see="portions.md",
    )
    concurrent: bool = _option(
        False,
        PORTIONS,
        "let the model infer between the portions of a step, with the weights that train, in a "
        "second arena",
        kind=SWITCH,
        experiment="nothing",
        see="portions.md#an-inference-in-between",
    )
    health: bool = _option(
        True,
        MEMORY,
        "leave out the counters of what goes wrong while it trains, and their RAM",
        kind=SWITCH,
        see="training.md#health",
    )
    name: str | None = _option(
        None,
        OUTPUT,
        "prefix of the C functions, instead of the model file's name",
        metavar="NAME",
        experiment="the name of a model",
    )
    inference: bool = _option(
        False,
        OUTPUT,
        "leave out training: for a device that takes what one trained that was compiled with the "
        "same options but this",
        kind=SWITCH,
        experiment="nothing",
        see="firmware.md#a-device-that-only-infers",
    )
    self_test: bool = _option(
        False,
        OUTPUT,
        "add NAME_self_test, which proves the board, its compiler and its flags in one call",
        kind=SWITCH,
        experiment="nothing",
        see="firmware.md#a-board-that-proves-itself",
    )
    link: bool = _option(
        False,
        OUTPUT,
        "add NAME_link and a program around it, which `simulate --on serial:PORT` and `monitor` "
        "speak to over a serial line",
        kind=SWITCH,
        experiment="nothing",
        see="link.md",
    )

    def __post_init__(self) -> None:
        for name, option in OPTIONS.items():
            option.check(getattr(self, name))
        parse_schedule(self.schedule, self.warm_up)
        _check_smoothing(self)
        _check_needs(self)
        _check_limit(self)
        _check_keep(self)
        _check_enrolment(self)
        _check_inference(self)
        _check_following(self)
        _check_portions(self)
        check_class_weights(self.class_weights, self.loss)
        if self.clip_norm is not None and not self.qas:
            raise UsageError(
                "--clip-norm needs quantization-aware scaling, which --no-qas leaves out",
                help="leave out one of both",
            )

        _check_guard(self)
        _check_adam(self)

    @property
    def rate_schedule(self) -> RateSchedule:
        """The rate of a step from its number."""
        return parse_schedule(self.schedule, self.warm_up)

    @property
    def objective(self) -> Loss:
        """What a step makes smaller; of a model that ends in its logits, where `loss` is auto."""
        kind = suited("") if self.loss == AUTO else self.loss
        smoothing = float(np.float32(self.label_smoothing))
        return Loss(kind, smoothing, weights_in(self.class_weights))

    @property
    def aim(self) -> Aim:
        """What the suggested learning rate is for."""
        weight = heaviest(self.objective.class_weights)
        return Aim(self.keep, self.rate_schedule.settles, self.classes or 0, weight)

    @property
    def headroom(self) -> Headroom:
        """By which factors scales of what trains are widened."""
        ranges = self.weight_headroom if self.range_headroom is None else self.range_headroom
        return Headroom(self.weight_headroom, ranges)

    @property
    def update_rule(self) -> UpdateRule:
        """What becomes of a gradient."""
        return UpdateRule(
            Rounding(self.update),
            self.fraction_bits,
            self.momentum,
            self.accumulate,
            self.clip_norm,
            self.weight_decay,
            self.qas,
            self.optimizer == "adam",
        )

    @property
    def anomaly_request(self) -> AnomalyRequest | None:
        """How what is not normal is told; None if it is not."""
        if self.anomaly == "off":
            return None
        return AnomalyRequest(
            self.anomaly, self.anomaly_warm_up, self.anomaly_quantile, self.anomaly_in_a_row
        )

    def to_manifest(self) -> dict[str, Any]:
        """Every field, by its key in the manifest."""
        record = {option.manifest or name: getattr(self, name) for name, option in OPTIONS.items()}
        return {**record, "range_headroom": self.headroom.ranges}


def make_options(given: Mapping[str, Any]) -> Options:
    """Options from the parameters of a function.

    Raises:
        UsageError: one has no such name, or does not fit.
    """
    for name in given:
        if name not in OPTIONS:
            close = difflib.get_close_matches(name, OPTIONS, n=1)
            raise UsageError(
                f"there is no option '{name}'",
                help=f"did you mean {close[0]}?" if close else "docs/options.md lists them",
            )
    # A scheme file may be given as a path.
    paths = {name: str(value) for name, value in given.items() if isinstance(value, PurePath)}
    return Options(**{**given, **paths})


OPTIONS: Mapping[str, Option] = {
    one.name: replace(one.metadata["option"], name=one.name, default=one.default)
    for one in fields(Options)
}
"""The row of each field of `Options`."""


_NEEDS = {
    "anomaly_warm_up": ("anomaly", "diagonal"),
    "anomaly_quantile": ("anomaly", "diagonal"),
    "anomaly_in_a_row": ("anomaly", "diagonal"),
    "replay_in": ("replay", "100"),
    "enrol_classes": ("enrol", "ncm"),
    "concurrent": ("portions", "1%"),
}
"""Options that change nothing without another one, with a value that this could have."""


def _check_needs(options: Options) -> None:
    for name, (needed, value) in _NEEDS.items():
        flag, other = OPTIONS[name].flag, OPTIONS[needed]
        if getattr(options, name) == OPTIONS[name].default:
            continue
        if getattr(options, needed) == other.default:
            raise UsageError(
                f"{flag} changes nothing, as {other.flag} is not given",
                help=f"add {other.flag} {value}, or leave out {flag}",
            )


def _check_limit(options: Options) -> None:
    rate, limit = options.learning_rate, options.rate_limit
    if limit == 0:
        raise UsageError(
            "--rate-limit 0 lets the device learn nothing",
            help="leave it out, or compile with --scheme none --enrol ncm, which trains nothing",
        )
    if isinstance(rate, (int, float)) and limit is not None and rate > limit:
        raise UsageError(
            f"--learning-rate {rate:g} is above --rate-limit {limit:g}",
            help="raise the limit, or leave one of both out",
        )


def _check_keep(options: Options) -> None:
    if options.keep == "old" and options.classes is not None:
        raise UsageError(
            f"--keep old has no old task to keep: --classes {options.classes} replaces the "
            "classifier that knows it",
            help="leave out one of both",
        )


def _check_smoothing(options: Options) -> None:
    if not options.label_smoothing:
        return
    # The device computes with a float32, and what is only just below 1 is 1 there.
    OPTIONS["label_smoothing"].check(float(np.float32(options.label_smoothing)))
    if options.loss not in (AUTO, "cross_entropy"):
        raise UsageError(
            f"the loss '{options.loss}' has no labels to smooth",
            help="leave label smoothing out, or take the loss cross_entropy",
        )


def _check_enrolment(options: Options) -> None:
    if options.pseudo_labels:
        _check_features(options, "--pseudo-labels", "take --scheme head")
    if options.scheme == NOTHING:
        _check_nothing(options)
    if options.enrol is not None:
        parse_method(options.enrol)
        _check_features(options, "--enrol", "take --scheme head or none")
        if options.guard:
            raise UsageError(
                "--guard brings a state back that was saved before, and with it what was enrolled "
                "then and erased since",
                help="leave out --guard and take --scheme none, where nothing trains that would "
                "have to be undone; or leave out --enrol",
            )


def _check_features(options: Options, flag: str, instead: str) -> None:
    """Before samples are looked at; what other schemes train is known when they are read."""
    if options.scheme == CHOSEN:
        raise UsageError(
            f"--scheme {CHOSEN} chooses layers before the head to train, and would change what "
            f"{flag} has kept of a class",
            help=f"{instead}, or leave out {flag}",
        )


def _check_guard(options: Options) -> None:
    if not options.guard:
        return
    if options.anomaly == "error":
        raise UsageError(
            "--anomaly error decides by itself what is learned, and a guard judges steps by labels",
            help="leave out --guard",
        )
    if options.class_weights == "balanced":
        raise UsageError(
            "--class-weights balanced changes the loss as labels come, and a guard takes a loss "
            "that rises for harm",
            help="give the weights as numbers, or leave out one of both",
        )
    if options.replay and options.replay_in == "flash":
        raise UsageError(
            "a guard cannot bring back replay slots that lie in flash",
            help="use --replay-in ram, or leave out one of both",
        )


def _check_following(options: Options) -> None:
    """What stores what the frozen layers give does not go with what changes it."""
    if options.follow is None:
        return
    _refuse(
        options,
        ("replay", "rehearsal_slots", "enrol", "pseudo_labels"),
        "keeps what the frozen layers give for a sample, and --follow changes it",
    )
    if options.anomaly in ("diagonal", "covariance"):
        raise UsageError(
            f"--anomaly {options.anomaly} learns what the frozen layers give for a normal sample, "
            "and --follow changes it",
            help="leave out one of both",
        )
    if options.feed == "rows":
        raise UsageError(
            "--follow needs the whole map of a convolution, and --feed rows never has it",
            help="leave out one of both",
        )


def _check_portions(options: Options) -> None:
    """What runs layers outside of a step does not stop in between."""
    if not options.portions:
        return
    _refuse(
        options,
        ("enrol", "pseudo_labels", "follow"),
        "runs layers at once, in functions that --portions does not cut",
    )
    why = "decides on a sample and learns from it in one call, which --portions does not cut"
    _refuse(options, ("anomaly",), why)
    if options.feed == "rows":
        why = "takes a whole sample, and with --feed rows a sample comes row by row"
        _refuse(options, ("concurrent",), why)


def _refuse(options: Options, names: Sequence[str], why: str) -> None:
    """Refuses the first of some options that is given; `why` follows its flag in the message."""
    for name in names:
        given, option = getattr(options, name), OPTIONS[name]
        if given and given != option.default:
            raise UsageError(f"{option.flag} {why}", help="leave out one of both")


def _check_adam(options: Options) -> None:
    if options.optimizer != "adam":
        return
    if options.clip_norm is not None:
        raise UsageError(
            "Adam sets the length of a step itself, and has no norm to clip",
            help="leave out --clip-norm, or use --optimizer sgd",
        )
    if not options.qas:
        raise UsageError(
            "Adam divides by the size of a gradient, so that --no-qas changes nothing",
            help="leave it out",
        )


def _check_inference(options: Options) -> None:
    """Refuses what is more than inference, or already no more."""
    if not options.inference:
        return
    if options.scheme == NOTHING:
        raise UsageError(
            "the scheme none trains nothing, so that --inference changes nothing",
            help="leave it out; or give the scheme of the device that trains, to take what it "
            "learned",
        )
    if options.portions:
        raise UsageError(
            "--inference leaves out the training step that --portions cuts",
            help="leave out one of both",
        )
    more = (REPLAY, REHEARSAL, GUARD, ENROLMENT, PSEUDO, DRIFT, ANOMALY)
    for name, option in OPTIONS.items():
        if option.group in more and getattr(options, name) != option.default:
            raise UsageError(
                f"--inference takes what a device learned that saves weights alone, and "
                f"{option.flag} saves more",
                help=f"leave out --inference, or leave out {option.flag} on both devices",
            )


def _check_nothing(options: Options) -> None:
    """Refuses what asks for something to train."""
    if options.anomaly == "error":
        raise UsageError(
            "--anomaly error learns what is normal by training on it, and the scheme none trains "
            "nothing",
            help="train --scheme head or more, or use --anomaly diagonal, which learns how the "
            "outputs of layers are spread",
        )
    for name, option in OPTIONS.items():
        is_of_training = option.group in OF_TRAINING or name == "classes"
        if is_of_training and getattr(options, name) != option.default:
            raise UsageError(
                f"the scheme none trains nothing, and {option.flag} is for what trains",
                help="leave it out, or train --scheme head",
            )
