"""The features that `bench.features` measures: one row each, and why other options have none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tinytrain.compiler.options import OPTIONS
from tinytrain.option import SHARE

SLOTS = 16
"""Samples that a replay buffer, or an enrolment by the nearest, keeps."""


@dataclass(frozen=True)
class Feature:
    """Something that a program has or has not.

    Attributes:
        name: in the table, and what other rows name it by.
        see: page of docs/ that explains it.
        options: of `compile_model`, in the place of those of the program beside it.
        calls: CALLS_NAME that are defined for `c/features_main.c`, likewise.
        beside: the program that it is compared with; None for one that others are compared with.
        words: parts of the names of its functions, files and members, which no program without it
            has; empty where it is only other numbers, or another kernel.
        note: what holds of this row alone.
        model: of the examples.
    """

    name: str
    see: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    calls: Sequence[str] = ()
    beside: str | None = "everything trains"
    words: Sequence[str] = ()
    note: str = ""
    model: str = "watch"

    def given(self, beside: Feature | None) -> str:
        """On the command line, the options that the program beside it has not; as Markdown."""
        known = {} if beside is None else beside.options
        options = {name: value for name, value in self.options.items() if name not in known}
        flags = " ".join(_flag(name, value) for name, value in options.items())
        return f"`{flags}`" if flags else ""


def _flag(name: str, value: object) -> str:
    option = OPTIONS[name]
    if isinstance(value, bool):
        return option.flag
    shown = f"{value:.0%}" if option.kind == SHARE and isinstance(value, float) else str(value)
    return f"{option.flag} {shown}"


_BUFFER = "training.md#one-buffer-for-momentum-accumulation-and-clipping"
_REST = "training.md#the-rest-of-a-step"
_HEAD = {"scheme": "head"}
_VALUES = {"loss": "mean_squared_error"}

PROGRAMS = (
    Feature("everything trains", "training.md", beside=None),
    Feature("the head trains", "choosing.md", _HEAD, beside=None),
    Feature("values for targets", "training.md#losses", _VALUES, ("TARGETS",), beside=None),
    Feature("the head of the digits", "choosing.md", _HEAD, beside=None, model="digits"),
    Feature("no health counters", "training.md#health", {"health": False}, beside=None),
)
"""What the others are compared with: an inference and a training step, and nothing else."""

_CALLED = (
    Feature(
        "samples as floats",
        "firmware.md#one-sample",
        calls=("QUANTIZE",),
        words=("quantize_input",),
    ),
    Feature(
        "a rate that is set",
        _REST,
        calls=("RATE",),
        words=("set_learning_rate",),
    ),
    Feature(
        "evaluation, early stop",
        "firmware.md#is-it-worth-going-on",
        calls=("EVALUATION",),
        words=("tt_early_stop", "tt_metrics"),
    ),
    Feature(
        "save, load", "saved-file.md", calls=("SAVE",), words=("tt_state_save", "tt_state_load")
    ),
    Feature(
        "load files of format 1",
        "saved-file.md",
        calls=("SAVE", "OLD"),
        beside="save, load",
        words=("load_old",),
    ),
    Feature(
        "store",
        "store.md",
        calls=("SAVE", "STORE"),
        beside="save, load",
        words=("tt_store_",),
        note="`read`, `program` and `erase` of your flash are not in it",
    ),
    Feature(
        "signed files",
        "signing.md",
        calls=("SAVE", "SIGNED"),
        beside="save, load",
        words=("tt_signed_",),
        note="your cryptography is not in it",
    ),
    Feature("erase", "firmware.md#persistence", calls=("ERASE",), words=("tt_state_wipe",)),
)
"""In every generated folder: what no program calls, its linker leaves out."""

_STEP = (
    Feature("label smoothing", _REST, {"label_smoothing": 0.1}, words=("tt_smoothed",)),
    Feature(
        "class weights, given",
        "training.md#unequal-classes",
        {"class_weights": "1,2,1,1,1,1,1"},
        words=("tt_weighted_loss",),
    ),
    Feature(
        "class weights, counted",
        "training.md#unequal-classes",
        {"class_weights": "balanced"},
        words=("tt_weighted_loss", "tt_balanced_weight"),
    ),
    Feature("momentum", _BUFFER, {"momentum": 0.9}, words=("velocity",)),
    Feature("Adam", "training.md#adam", {"optimizer": "adam"}, words=("adam",)),
    Feature("8 gradients a step", _BUFFER, {"accumulate": 8}, words=("velocity",)),
    Feature("gradient clipping", _BUFFER, {"clip_norm": 1.0}, words=("clip",)),
    Feature("weight decay", _REST, {"weight_decay": 0.01}),
    Feature("constant rate", _REST, {"schedule": "constant"}),
    Feature("cosine", _REST, {"schedule": "cosine:1000"}),
    Feature("rate in steps", _REST, {"schedule": "step:100:0.5"}),
    Feature("warm-up", _REST, {"warm_up": 100}),
    Feature("gradients in s16", "arithmetic.md", {"gradient": "s16"}),
    Feature("gradients in f32", "arithmetic.md", {"gradient": "f32"}),
    Feature("no fractional bits", "arithmetic.md", {"fraction_bits": 0}),
    Feature("8 fractional bits", "arithmetic.md", {"fraction_bits": 8}),
    Feature("squared error", "training.md#losses", _VALUES, ("TARGETS",)),
    Feature(
        "several labels at once",
        "training.md#losses",
        {"loss": "binary_cross_entropy"},
        ("TARGETS",),
    ),
)

_HEALTH = (
    Feature("health counters", "training.md#health", beside="no health counters"),
    Feature("reading them", "training.md#health", calls=("HEALTH", "CLASS_HEALTH")),
)

_ANOMALY = "training.md#what-is-not-normal"

_LEARNING = (
    Feature(
        f"replay, {SLOTS} in RAM",
        "training.md#replay",
        {"replay": SLOTS},
        ("REPLAY",),
        words=("replay", "remember"),
    ),
    Feature(
        "a file of its samples",
        "store.md",
        {"replay": SLOTS},
        ("REPLAY", "SAMPLES"),
        beside=f"replay, {SLOTS} in RAM",
    ),
    Feature(
        f"replay, {SLOTS} in flash",
        "training.md#replay",
        {"replay": SLOTS, "replay_in": "flash"},
        ("REPLAY", "FLASH_SLOTS"),
        words=("replay", "remember"),
        note="the samples lie where your callbacks put them",
    ),
    Feature(
        f"rehearsal set of {SLOTS}",
        "training.md#rehearsal",
        {"rehearsal_slots": SLOTS},
        ("REHEARSAL",),
        words=("rehears",),
    ),
    Feature(
        "guard",
        "training.md#the-guard",
        {"guard": 128},
        ("GUARD",),
        words=("guard",),
        note="the good state is in RAM; it may lie in flash",
    ),
    Feature(
        "drift is followed",
        "training.md#drift",
        {**_HEAD, "follow": "auto"},
        ("FOLLOW",),
        "the head trains",
        words=("follow",),
    ),
    Feature(
        "enrolment by means",
        "training.md#classes-from-a-handful-of-samples",
        {**_HEAD, "enrol": "ncm"},
        ("ENROL",),
        "the head trains",
        words=("enrol", "classify"),
    ),
    Feature(
        "enrolment by the nearest",
        "training.md#classes-from-a-handful-of-samples",
        {**_HEAD, "enrol": f"knn:{SLOTS}"},
        ("ENROL",),
        "the head trains",
        words=("enrol", "classify"),
    ),
    Feature(
        "guard of a head",
        "training.md#the-guard",
        {**_HEAD, "guard": 128},
        ("GUARD",),
        "the head trains",
        words=("guard",),
    ),
    Feature(
        "pseudo-labels",
        "training.md#pseudo-labels",
        {**_HEAD, "guard": 128, "pseudo_labels": True},
        ("GUARD", "PSEUDO"),
        "guard of a head",
        words=("pseudo", "unlabelled"),
    ),
    Feature(
        "anomalies by the error",
        _ANOMALY,
        {**_VALUES, "anomaly": "error"},
        ("TARGETS", "ANOMALY"),
        "values for targets",
        words=("anomaly",),
    ),
    Feature(
        "anomalies by variances",
        _ANOMALY,
        {**_HEAD, "anomaly": "diagonal"},
        ("ANOMALY",),
        "the head trains",
        words=("anomaly",),
    ),
    Feature(
        "anomalies by covariances",
        _ANOMALY,
        {**_HEAD, "anomaly": "covariance"},
        ("ANOMALY",),
        "the head trains",
        words=("anomaly",),
    ),
)

_PROGRAM = (
    Feature(
        "samples in rows",
        "memory.md#line-buffering",
        {**_HEAD, "feed": "rows"},
        ("ROWS",),
        "the head of the digits",
        words=("feed",),
        model="digits",
    ),
    Feature(
        "steps in portions of 10%",
        "portions.md",
        {"portions": 0.1},
        ("PORTIONS",),
        words=("portion", "step_begin", "step_run"),
    ),
    Feature(
        "steps in portions",
        "portions.md",
        {"portions": 0.01},
        ("PORTIONS",),
        words=("portion", "step_begin", "step_run"),
    ),
    Feature(
        "an inference in between",
        "portions.md#an-inference-in-between",
        {"portions": 0.01, "concurrent": True},
        ("PORTIONS", "CONCURRENT"),
        "steps in portions",
        words=("concurrent",),
    ),
    Feature(
        "self-test",
        "firmware.md#a-board-that-proves-itself",
        {"self_test": True},
        ("SELF_TEST",),
        words=("self_test",),
    ),
    Feature(
        "link",
        "link.md",
        {"link": True},
        ("LINK",),
        words=("link",),
        note="without the driver of your serial line",
    ),
    Feature(
        "only inference, and load",
        "firmware.md#a-device-that-only-infers",
        {"inference": True},
        ("SAVE", "LOAD"),
        note="in the place of training, and with `save` and `load`",
    ),
)

FEATURES = (*_CALLED, *_STEP, *_HEALTH, *_LEARNING, *_PROGRAM)

_CONSTANT = "a constant of the program"

NO_ROW = {
    "scheme": "what trains is no feature: [Measurements](measurements.md) has schemes of models",
    "classes": "it changes the size of the head alone",
    "learning_rate": _CONSTANT,
    "rate_limit": _CONSTANT,
    "keep": "decides on the computer which rate is suggested",
    "weight_headroom": "other scales, by the same code",
    "enrol_classes": "how much RAM enrolment takes: its rows have the default",
    "anomaly_warm_up": _CONSTANT,
    "anomaly_quantile": _CONSTANT,
    "anomaly_in_a_row": _CONSTANT,
    "recompute": "a plan for less RAM: [Memory](memory.md#figures) has what it costs",
    "name": "names take no bytes",
    **{name: "for comparisons alone" for name, row in OPTIONS.items() if row.comparison},
}
"""Options without a row, and why."""


def every_row() -> Iterator[Feature]:
    """The programs that others are compared with first."""
    yield from PROGRAMS
    yield from FEATURES


BY_NAME = {row.name: row for row in every_row()}
