"""An imported model in integers, quantized from calibration samples where it was not yet."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import PROVE, quantization
from tinytrain.compiler.samples import source_spec
from tinytrain.data import Dataset, Preprocess, SampleSpec, load_calibration, load_dataset
from tinytrain.data.calibration import Gathered, gather
from tinytrain.data.given import given_samples
from tinytrain.errors import DataError, UsageError
from tinytrain.frontend.imported import Imported
from tinytrain.frontend.proof import prove
from tinytrain.ir.graph import Graph
from tinytrain.manifest.records import CalibrationRecord, ProofRecord, QuantizationRecord
from tinytrain.passes.base import Runner
from tinytrain.quantize.accuracy import quantization_cost
from tinytrain.quantize.passes import is_quantized
from tinytrain.reference.packed import quantized

CALIBRATION_SAMPLES = 256
"""How many are used at most."""

CalibrationSamples = Any
"""What `data.calibration.gather` takes."""


@dataclass(frozen=True, eq=False)
class IntegerModel:
    """A model in integers, before anything in it is chosen to train.

    Attributes:
        prepared: the graph as it was read, its end made ready for the loss.
        ranged: the same with quantize nodes around every layer.
        forward: the s8 graph of it.
        samples: calibration samples f32 [N,H,W,C] in the model's units; None if none were given.
        labels: their classes, int [N]; None if they have none.
        unused: why their y is not taken as labels, as a sentence; None where nothing is left out.
        report: what quantization cost, if the model came as floats.
        calibration: which samples those were, for the manifest.
        proof: what is known of the import.
        imported: the model as it was read.
        gathered: the calibration samples as they were given, labels included.
    """

    prepared: Graph
    ranged: Graph
    forward: Graph
    samples: np.ndarray | None
    report: QuantizationRecord | None
    calibration: CalibrationRecord | None
    proof: ProofRecord
    imported: Imported
    gathered: Gathered | None = None
    labels: np.ndarray | None = None
    unused: str | None = None

    def quantized_samples(self) -> np.ndarray | None:
        """The calibration samples as the model takes them, s8 [N,H,W,C]."""
        if self.samples is None:
            return None
        return quantized(self.forward.inputs, self.samples)

    def labelled(self, spec: SampleSpec, what: str, help: str) -> Dataset:
        """The calibration samples with their labels, as those of a data file.

        Raises:
            DataError: they have none, or do not fit; the message begins with `what`.
        """
        held = self.gathered
        try:
            if isinstance(held, dict):
                return given_samples(held["x"], held.get("y"), spec)
            return load_dataset(str(held), spec)
        except DataError as error:
            raise DataError(f"{what}: {error.what}", where=error.where, help=help) from error


def integer_model(
    imported: Imported,
    calibration: CalibrationSamples | None,
    preprocess: Preprocess | None,
    options: Options,
    runner: Runner,
) -> IntegerModel:
    """The first half of `compile_model`: the import is proved, and quantized if it is not yet.

    Raises:
        UsageError: the model needs calibration samples, and there are none.
        DataError: the samples do not fit.
        ModelError: the import is not what the model's own format computes.
    """
    source = imported.graph
    is_float = not is_quantized(source)
    if calibration is None:
        if is_float:
            raise UsageError(
                "the model is not quantized, and no calibration samples are given",
                help="add --calibration FILE.npz with a few hundred inputs as "
                f"{_keys(source)} (and labels as `y`, to see what quantization costs), or export "
                "the model quantized",
            )
        runner.begin(PROVE)
        proof = prove(imported)
        graphs = _integers(source, None, options, runner)
        return IntegerModel(*graphs, None, None, None, proof, imported)
    spec = source_spec(source, preprocess)
    gathered = gather(calibration, spec, CALIBRATION_SAMPLES)
    samples, labels, unused = load_calibration(gathered, spec, CALIBRATION_SAMPLES)
    runner.begin(PROVE)
    proof = prove(imported, samples)
    graphs = prepared, _, forward = _integers(source, samples, options, runner)
    report = quantization_cost(prepared, forward, samples, labels) if is_float else None
    record = _record(gathered, len(samples))
    return IntegerModel(*graphs, samples, report, record, proof, imported, gathered, labels, unused)


def _integers(
    source: Graph, samples: np.ndarray | None, options: Options, runner: Runner
) -> tuple[Graph, Graph, Graph]:
    """The `prepared`, `ranged` and `forward` of an `IntegerModel`."""
    first, *between, last = quantization(options, samples)
    prepared = runner.run(source, [first])
    ranged = runner.run(prepared, between)
    return prepared, ranged, runner.run(ranged, [last])


def _keys(model: Graph) -> str:
    """What the inputs are called in a file."""
    return ", ".join(f"`{one.name}`" for one in model.source.inputs) or "`x`"


def _record(calibration: Gathered, count: int) -> CalibrationRecord:
    name: str | None = None
    if isinstance(calibration, str | Path):
        name, data = Path(calibration).name, Path(calibration).read_bytes()
    else:
        data = calibration["x"].tobytes()
    digest = hashlib.sha256(data).hexdigest()
    return CalibrationRecord(file=name, sha256=digest, samples_used=count)
