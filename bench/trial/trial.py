"""One model file, from import to fifty steps of training."""

from __future__ import annotations

import math
import time
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.trial.forward import compare, our_outputs
from bench.trial.inputs import Inputs, hints, make_inputs
from bench.trial.training import Training, train
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import to_integers
from tinytrain.compiler.samples import source_spec
from tinytrain.data import load_calibration
from tinytrain.data.spec import quantize_input
from tinytrain.errors import ModelError, TinytrainError, UsageError
from tinytrain.frontend import import_model
from tinytrain.frontend.imported import Imported
from tinytrain.frontend.proof import prove
from tinytrain.ir.graph import Graph
from tinytrain.ir.operations import macs_of
from tinytrain.losses import suited
from tinytrain.passes.base import Runner
from tinytrain.quantize.head import function_at_end, function_name
from tinytrain.quantize.passes import is_quantized
from tinytrain.reference.lowering import scale_of, zero_of

AGREEMENT, CORRELATION = 0.95, 0.998
"""From these on an output counts as equal."""


@dataclass
class Trial:
    """What became of a file.

    Attributes:
        file: its name.
        stage: that refused it: import, proof, forward or training; None if nothing did.
        reasons: why, a line each.
        notes: what the import changed.
        proof: what is known of the import.
        inputs: what it was tried on, how many, and how many were left out.
    """

    file: str
    stage: str | None = None
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    quantized: bool = False
    classifier: bool = False
    macs: int = 0
    proof: str = ""
    inputs: str = ""
    count: int = 0
    left_out: int = 0
    agreement: float | None = None
    correlation: float | None = None
    training: Training | None = None
    seconds: float = 0.0

    @property
    def taken(self) -> bool:
        """Whether it can be compiled."""
        return self.stage is None

    @property
    def is_right(self) -> bool:
        """Whether its outputs are those of the reference."""
        agrees = not self.classifier or self.agreement is None or self.agreement >= AGREEMENT
        return self.correlation is not None and agrees and self.correlation >= CORRELATION

    @property
    def learns(self) -> bool:
        """Whether its loss falls."""
        return self.training is not None and self.training.falls

    def to_json(self) -> dict[str, Any]:
        """Everything by name."""
        return asdict(self)


def try_model(path: Path) -> Trial:
    """Tries a file: every step that the ones before it allow."""
    trial, start = Trial(path.name), time.monotonic()
    stage = "import"
    try:
        imported = import_model(path)
        graph = imported.graph
        trial.quantized, trial.notes = is_quantized(graph), list(graph.source.notes)
        trial.macs = sum(map(macs_of, graph.nodes))
        if len(graph.sample) > 1:
            stage = "inputs"
            what = f"the model has {len(graph.sample)} inputs; samples are drawn for one"
            raise UsageError(what, help="compile it: compile and verify take several")
        inputs = make_inputs(path, graph, trial.macs)
        trial.inputs, trial.count = inputs.source, len(inputs.compared)
        spec, given = source_spec(graph, None), inputs.calibration
        samples = load_calibration({"x": given}, spec, len(given)).samples
        stage = "proof"
        _prove(trial, imported, samples)
        stage = "forward"
        loss = _loss(path, graph)
        trial.classifier = loss == "cross_entropy"
        forward = to_integers(graph, samples, Options(loss=loss), Runner())
        outputs = _forward(trial, path, imported, forward, inputs)
        stage = "training"
        x = forward.inputs[0]
        quantized = quantize_input(samples, scale_of(x), zero_of(x))
        trial.training = train(forward, quantized, outputs)
    except TinytrainError as error:
        trial.stage, trial.reasons = stage, _reasons(error)
    # A fault of ours: a row of the table like any other, so that the rest is still tried.
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        trial.stage = stage
        trial.reasons = [f"CRASH {type(error).__name__}: {error} (at {where})"]
    trial.seconds = time.monotonic() - start
    return trial


def _prove(trial: Trial, imported: Imported, samples: np.ndarray) -> None:
    """A difference refuses the model; the rest is tried all the same, to see how much it is."""
    try:
        trial.proof = prove(imported, samples).sentence()
    except ModelError as error:
        trial.proof, trial.stage, trial.reasons = "differs", "proof", _reasons(error)


def _forward(
    trial: Trial, path: Path, imported: Imported, forward: Graph, inputs: Inputs
) -> np.ndarray:
    """Compares, and gives what the model answers to calibration samples."""
    end = function_at_end(imported.graph)
    left_out = forward.source.softmax or (end is not None and not forward.source.ending)
    ours = our_outputs(forward, imported, inputs.compared)
    found = compare(path, imported, ours, inputs.compared, before_end=left_out)
    if found is not None:
        trial.left_out, trial.correlation = found.left_out, found.correlation
        trial.agreement = found.agreement if trial.classifier else None
    return our_outputs(forward, imported, inputs.calibration[:4])


def _loss(path: Path, graph: Graph) -> str:
    """What suits the end of a model: for a map, and where nothing tells, the mean squared error."""
    shape = graph.outputs[0].type.shape
    end = function_at_end(graph)
    function = "" if end is None else function_name(end)
    if math.prod(shape) != shape[-1]:
        return "mean_squared_error"
    if hints(path).get("loss") == "cross_entropy" and shape[-1] > 1:
        return "cross_entropy"
    return suited(function) if function in ("softmax", "sigmoid") else "mean_squared_error"


def _reasons(error: TinytrainError) -> list[str]:
    """An error as lines, one a reason, each with its way out."""
    if error.detail and "  help: " in error.detail:
        return error.detail.replace("\n  help: ", " | help: ").splitlines()
    place = f" (at {error.where})" if error.where else ""
    detail = " ".join(f" {line.strip()}" for line in (error.detail or "").splitlines())
    return [f"{error.what}{place}{detail} | help: {error.help}"]
