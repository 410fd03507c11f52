"""What `make fuzz` throws at the generated C: programs, and the models that they are built with."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.objects import compiled, run
from tests.support.onnx_models import CLASSES, quantized_model
from tests.support.paths import ROOT
from tinytrain.compiler.compile import compile_model

FOLDER = ROOT / "tests" / "fuzz"
FLAGS = (
    "-std=c11",
    "-g",
    "-O2",
    "-fsanitize=fuzzer,address,undefined",
    "-fno-sanitize-recover=all",
)
"""What clang instruments: a wrong access and undefined arithmetic end the program."""

_RANDOM = np.random.default_rng(0)
_Y = np.arange(96) % CLASSES
# Clouds around one point for each class: pseudo-labels need what can be told apart.
_X = (_RANDOM.normal(0, 3, (CLASSES, 3, 6, 6))[_Y] + _RANDOM.normal(0, 0.1, (96, 3, 6, 6))).astype(
    "f"
)
_SAMPLES: dict[str, Any] = {"calibration": list(zip(_X, _Y, strict=True))}
_OLD = {"rehearse": (_X[:30], _Y[:30] % (CLASSES - 1)), "rehearsal_slots": 9}
_WATCH = {"anomaly_warm_up": 16, "anomaly_in_a_row": 2, "scheme": "last-1"}

MODELS: dict[str, dict[str, Any]] = {
    "plain": {"link": True},
    "adam": {"optimizer": "adam", "accumulate": 2, "scheme": "last-1", "schedule": "constant"},
    "portions": {
        "portions": 0.05,
        "concurrent": True,
        "scheme": "last-1",
        "momentum": 0.9,
        "guard": 5,
    },
    "kept": {"portions": 0.05, "replay": 4, "replay_in": "flash", "scheme": "last-1", **_OLD},
    "f32": {"gradient": "f32", "class_weights": "balanced", "scheme": "head"},
    "numbers": {"loss": "mean_squared_error", "replay": 3, "link": True},
    "shares": {"loss": "binary_cross_entropy", "scheme": "bias", "guard": 5},
    "rows": {
        "feed": "rows",
        "scheme": "head",
        "replay": 3,
        "replay_in": "flash",
        "link": True,
    },
    "replay": {"replay": 6, "scheme": "last-1", "link": True},
    "flash": {"replay": 6, "replay_in": "flash", "gradient": "s16"},
    "error": {"loss": "mean_squared_error", "anomaly": "error", **_WATCH},
    "diagonal": {"anomaly": "diagonal", **_WATCH},
    "covariance": {"anomaly": "covariance", **_WATCH, "scheme": "head"},
    "drift": {"follow": "auto", "scheme": "head", **_SAMPLES},
    "means": {"enrol": "ncm", "scheme": "none", **_SAMPLES},
    "nearest": {"enrol": "knn:6:3", "replay": 3, "scheme": "head", **_SAMPLES, **_OLD},
    "unlabelled": {"pseudo_labels": True, "guard": 5, "scheme": "head", **_SAMPLES, **_OLD},
}
"""Options of `compile`, chosen so that every function of every header is in one of them."""


@dataclass(frozen=True)
class Target:
    """A program of `tests/fuzz/programs` that is given inputs.

    Attributes:
        program: its file, without the ending; its seeds lie in a folder of this name.
        models: that it is built with, one binary for each.
        longest: bytes of an input.
        needs: runtime sources that it takes from the model's folder; None for all of them.
    """

    program: str
    models: tuple[str, ...] = field(default_factory=lambda: tuple(MODELS))
    longest: int = 1024
    needs: tuple[str, ...] | None = None

    @property
    def corpus(self) -> Path:
        """The folder of its seeds."""
        return FOLDER / "corpus" / self.program


TARGETS = (
    Target("store", ("plain",), 2048, ("tt_store.c", "tt_crc32.c")),
    Target("signed", ("plain",), 512, ("tt_signed.c", "tt_crc32.c")),
    Target("load"),
    Target("calls"),
    Target("link", ("plain", "numbers", "replay", "rows"), 2048),
)


def functions(header: str) -> set[str]:
    """Names of the functions `m_NAME` that a header declares."""
    text = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    return set(re.findall(r"\bm_(\w+)\(", text))


def declared() -> set[str]:
    """Names of the functions NAME_... that any model may have, by the templates of its headers."""
    text = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "codegen").glob("*.h.j2"))
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return set(re.findall(r"\{\{ name \}\}_(\w+)(?:\{\{[^}]*\}\}\w*)?\(", text))


def _defines(header: str) -> list[str]:
    """What tells the programs what there is to call."""
    held = [f"-DHAS_{name}" for name in sorted(functions(header))]
    marks: Mapping[str, str] = {
        "TARGET_FLOATS": "m_evaluate(m_state *state, const float *target",
        "TARGET_PIXELS": "m_evaluate(m_state *state, const uint8_t *labels",
        "ANOMALY_OF_ERROR": "m_anomaly_watch(m_state *state, const float *target",
        "REPLAY_IN_FLASH": "tt_write_slot_fn write",
    }
    return held + [f"-D{name}" for name, text in marks.items() if text in header]


def generated(model: str, place: Path) -> Path:
    """The folder of a model, compiled into `place` as m."""
    folder = place / model
    shape = (1, 3, 9, 6) if model == "rows" else (1, 3, 6, 6)
    file = quantized_model(place / f"{model}.onnx", shape=shape)
    shutil.rmtree(folder, ignore_errors=True)
    options = {"rate_limit": 1024.0, **MODELS[model]}
    compile_model(str(file), output=folder, target="host", name="m", **options)
    return folder


def built(target: Target, folder: Path, place: Path) -> Path:
    """The program that feeds a target with inputs, of one model's folder."""
    header = (folder / "src" / "m.h").read_text(encoding="utf-8")
    sources = sorted((folder / "src").glob("*.c"))
    if target.needs is not None:
        sources = [source for source in sources if source.name in target.needs]
    include = [FOLDER / "programs", folder / "include", folder / "src"]
    program = FOLDER / "programs" / f"{target.program}.c"
    objects = compiled(sources, include, "clang", *FLAGS)
    objects += compiled([program], include, "clang", *FLAGS, *_defines(header))
    binary = place / f"{target.program}-{folder.name}"
    run("clang", *FLAGS, *objects, "-o", binary)
    return binary
