"""What `compile_model` and `inspect` take beside the fields of `Options`: one row a parameter."""

from __future__ import annotations

from dataclasses import replace

from tinytrain.compiler.options import (
    ANOMALY,
    ARITHMETIC,
    DRIFT,
    ENROLMENT,
    GUARD,
    LEARNING,
    MEMORY,
    OPTIONS,
    OUTPUT,
    PORTIONS,
    PSEUDO,
    RATE,
    REHEARSAL,
    REPLAY,
    TRAINED,
)
from tinytrain.option import FILE, FOLDER, INTEGER, NUMBER, SIZE, SWITCH, Group, Option

MODEL_FILE = Group("model", "what is compiled")
DATA = Group("data", "samples for the ranges and scales, and how images are prepared")
TARGET = Group("target", "where it will run, and what that holds")

GROUPS = (
    MODEL_FILE,
    OUTPUT,
    TARGET,
    DATA,
    TRAINED,
    LEARNING,
    RATE,
    ARITHMETIC,
    MEMORY,
    REPLAY,
    REHEARSAL,
    GUARD,
    ENROLMENT,
    PSEUDO,
    DRIFT,
    ANOMALY,
    PORTIONS,
)
"""In the order in which they are shown."""

_MODEL = Option(
    ".onnx, .tflite or .pt2 file",
    MODEL_FILE,
    "model",
    FILE,
    metavar="MODEL",
    positional=True,
    required=True,
)
_MODEL_OUTPUT = Option(
    "of a model with several outputs, the one that is compiled, instead of a classifier's",
    MODEL_FILE,
    "model_output",
    metavar="NAME",
)
_OUTPUT = Option(
    "folder to write", OUTPUT, "output", FOLDER, metavar="DIR", short="-o", required=True
)
_DUMP_IR = Option(
    "folder that gets the graph as text after every pass", OUTPUT, "dump_ir", FOLDER, metavar="DIR"
)
_FORCE = Option(
    "replace files of the folder that were changed since tinytrain wrote them",
    OUTPUT,
    "force",
    SWITCH,
    False,
)
_TARGET = Option(
    "name of a target, or a target file", TARGET, "target", FILE, "host", metavar="NAME|FILE"
)
_RAM = Option("RAM budget, instead of the target's", TARGET, "ram", SIZE, metavar="SIZE", low=1)
_FLASH = Option(
    "flash budget, instead of the target's", TARGET, "flash", SIZE, metavar="SIZE", low=1
)
_INSTRUCTIONS = Option(
    "most instructions of a training step, as estimated",
    TARGET,
    "instructions",
    INTEGER,
    low=1,
    high=2**40,
    metavar="N",
)
_DATA = (
    Option(
        "inputs that set the ranges of a float model, as `x` of an .npz file",
        DATA,
        "calibration",
        FILE,
        metavar="F.npz",
    ),
    Option(
        "uint8 images are resized to the model's input and become (v / 255 - mean) / std; one "
        "number, or one a channel; by default what a quantized input's scale and zero point say",
        DATA,
        "mean",
        NUMBER,
        several=True,
        metavar="M",
    ),
    Option("see --mean", DATA, "std", NUMBER, several=True, metavar="S"),
)
_REHEARSE = Option(
    "labelled samples, x and y of an .npz file, to choose from class by class",
    REHEARSAL,
    "rehearse",
    FILE,
    metavar="F.npz",
    see="training.md#rehearsal",
)


def _grouped(*rows: Option) -> tuple[Option, ...]:
    return tuple(sorted(rows, key=lambda row: GROUPS.index(row.group)))


COMPILE = _grouped(
    _MODEL,
    _MODEL_OUTPUT,
    _OUTPUT,
    _TARGET,
    _RAM,
    _FLASH,
    _INSTRUCTIONS,
    *_DATA,
    _REHEARSE,
    *OPTIONS.values(),
    _DUMP_IR,
    _FORCE,
)
VERIFY = _grouped(
    replace(_MODEL, help="model file, or a folder that `compile` wrote", metavar="MODEL|DIR"),
    Option(
        "of a folder, the model file that it was compiled from; looked for beside it by default",
        MODEL_FILE,
        "source",
        FILE,
        metavar="MODEL",
    ),
    _MODEL_OUTPUT,
    *_DATA,
)
INSPECT = _grouped(
    _MODEL,
    _MODEL_OUTPUT,
    *_DATA,
    # Without one, nothing is asked about training.
    replace(OPTIONS["scheme"], default=None),
    *(
        # Nothing races where nothing is compiled.
        replace(row, words=(), help=row.help.partition(", race")[0])
        for name, row in OPTIONS.items()
        if row.group not in (OUTPUT, REHEARSAL) and name != "scheme"
    ),
)
