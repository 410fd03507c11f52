"""What a model loses on its way to C: the import, each layer in s8, the C beside the reference."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinytrain.compiler.device_check import DeviceCheck, check_device, options_of
from tinytrain.compiler.images import image_preprocess
from tinytrain.compiler.integers import CalibrationSamples, IntegerModel, integer_model
from tinytrain.compiler.options import Options
from tinytrain.compiler.parameters import VERIFY
from tinytrain.data import Preprocess
from tinytrain.data.preprocess import Numbers
from tinytrain.errors import ModelError, UsageError, Where
from tinytrain.frontend.imported import Imported
from tinytrain.frontend.learned import TENSORS, unpack
from tinytrain.frontend.proof import noise, prove
from tinytrain.manifest import to_json
from tinytrain.manifest.records import ProofRecord, QuantizationRecord
from tinytrain.option import check_options
from tinytrain.passes.base import Runner
from tinytrain.quantize.layer_errors import LayerError, layer_errors
from tinytrain.quantize.passes import is_quantized
from tinytrain.simulation.folder import GeneratedFolder, open_folder

SAMPLES = 16
"""How many are run at most."""

WORST = 3
"""How many layers are named as those where most is lost."""


@dataclass(frozen=True)
class Verification:
    """What `verify` found.

    Attributes:
        file: the model.
        proof: whether it was read right.
        layers: what each layer loses in s8; empty where a float model has no calibration samples.
        samples: how many inputs the layers ran on.
        measured_on: what these were.
        quantization: what quantization costs the whole model, if it came as floats.
        device: the C of a folder beside the reference; None of a model file.
    """

    file: str
    proof: ProofRecord
    layers: tuple[LayerError, ...] = ()
    samples: int = 0
    measured_on: str = "nothing"
    quantization: QuantizationRecord | None = None
    device: DeviceCheck | None = None

    @property
    def worst(self) -> tuple[LayerError, ...]:
        """Those that add most to the error, the worst first."""
        ordered = sorted(self.layers, key=lambda layer: -layer.added)
        return tuple(layer for layer in ordered[:WORST] if layer.added > 0)

    def to_json(self) -> Mapping[str, Any]:
        """Everything by name."""
        return {
            "file": self.file,
            "proof": to_json(self.proof),
            "layers": [asdict(layer) for layer in self.layers],
            "worst": [layer.layer for layer in self.worst],
            "samples": self.samples,
            "measured_on": self.measured_on,
            "quantization": to_json(self.quantization),
            "device": None if self.device is None else asdict(self.device),
        }


def verify(
    model: Any,
    example: Any = None,
    *,
    source: str | Path | None = None,
    calibration: CalibrationSamples | None = None,
    mean: Numbers | None = None,
    std: Numbers | None = None,
    model_output: str | None = None,
) -> Verification:
    """Compares a model with its own format's reference, its s8 layers with it, the C with both.

    Args:
        model: path of a model file, an `nn.Module`, or a folder that `compile_model` wrote.
        example: tensor of the module's input, batch of one; for an `nn.Module` only.
        source: of a folder the model file that it was compiled from; None looks for it beside the
            folder and where the command runs.
        calibration: samples as `compile_model` takes them; of a folder those that it was compiled
            with. Without any, a quantized model runs on noise, and of a float model the import
            alone is compared.
        mean, std: as `compile_model` takes them; a folder has its own.
        model_output: as `compile_model` was given it; a folder of a model from ONNX or PyTorch has
            its own.

    Raises:
        ModelError: the import is not what the format computes, or the file is another one.
        ToolchainError: the C gives other outputs than the reference, or there is no C compiler.
        TinytrainError: the model, the folder or the samples cannot be read.
    """
    from tinytrain.frontend import import_model

    check_options(VERIFY, mean=mean, std=std)
    if isinstance(model, str | Path) and Path(model).is_dir():
        folder = open_folder(model)
        if calibration is None and folder.manifest.quantization is not None:
            calibration = _calibration(folder)
        output = model_output or _output(folder)
        imported = import_model(_source(folder, source), model_output=output)
        preprocess = folder.manifest.preprocess
        found, given = _verified(imported, calibration, preprocess, options_of(folder))
        assert given is not None, "a folder's model is quantized, or has calibration samples"
        _check_calibration(folder, given)
        samples = _chosen(given, imported)
        return replace(found, device=check_device(folder, given.forward, samples))
    if source is not None:
        raise UsageError("a model file is its own source", help="leave out --source")
    imported = import_model(model, example=example, model_output=model_output)
    imported, preprocess = image_preprocess(imported, mean, std)
    return _verified(imported, calibration, preprocess, Options())[0]


def _verified(
    imported: Imported,
    calibration: CalibrationSamples | None,
    preprocess: Preprocess | None,
    options: Options,
) -> tuple[Verification, IntegerModel | None]:
    graph = imported.graph
    file = graph.source.file or "a PyTorch module"
    if calibration is None and not is_quantized(graph):
        return Verification(file, prove(imported)), None
    given = integer_model(imported, calibration, preprocess, options, Runner())
    samples = _chosen(given, imported)
    found = Verification(
        file,
        given.proof,
        layer_errors(given.prepared, given.ranged, samples),
        len(samples),
        "noise" if given.samples is None else "calibration samples",
        given.report,
    )
    return found, given


def _chosen(given: IntegerModel, imported: Imported) -> np.ndarray:
    """f32 [N,H,W,C], evenly spread over the calibration samples."""
    if given.samples is None:
        return noise(imported.graph, SAMPLES)
    count = len(given.samples)
    chosen = np.linspace(0, count - 1, min(count, SAMPLES)).astype(int)
    return np.asarray(given.samples[chosen])


def _output(folder: GeneratedFolder) -> str | None:
    """The output that was chosen of several, as far as the folder knows."""
    if TENSORS not in folder.manifest.files:
        return None
    return unpack((folder.path / TENSORS).read_bytes()).output


def _source(folder: GeneratedFolder, given: str | Path | None) -> Path:
    """The file that a folder was compiled from.

    Raises:
        UsageError: it is not found.
        ModelError: it is another one.
    """
    record, where = folder.manifest.model, Where(str(folder.path))
    if record.file is None or record.sha256 is None:
        raise UsageError(
            "the folder was compiled from a PyTorch module, not from a file",
            where=where,
            help="verify the module: tinytrain.verify(module, example)",
        )
    path = _beside(folder, record.file) if given is None else Path(given)
    if path is None or not path.is_file():
        raise UsageError(
            f"the model file '{record.file}' is not found"
            if path is None
            else f"there is no file '{path}'",
            where=where,
            help=f"give the file that the folder was compiled from: --source {record.file}",
        )
    if hashlib.sha256(path.read_bytes()).hexdigest() != record.sha256:
        raise ModelError(
            "the folder was compiled from another file: the hashes differ",
            where=Where(str(path)),
            help=f"give the file that {folder.path} was compiled from with --source, or compile "
            "again",
        )
    return path


def _beside(folder: GeneratedFolder, name: str) -> Path | None:
    """A file of this name beside the folder, or where the command runs."""
    places: Sequence[Path] = (folder.path.resolve().parent, Path.cwd())
    return next((place / name for place in places if (place / name).is_file()), None)


def _calibration(folder: GeneratedFolder) -> Path:
    record = folder.manifest.calibration
    name = None if record is None else record.file
    path = None if name is None else _beside(folder, name)
    if path is None:
        raise UsageError(
            "the calibration samples that the folder was compiled with are not found",
            where=Where(str(folder.path)),
            help=f"give them: --calibration {name or 'FILE.npz'}",
        )
    return path


def _check_calibration(folder: GeneratedFolder, given: IntegerModel) -> None:
    wanted, found = folder.manifest.calibration, given.calibration
    if given.report is None or wanted is None or found is None or wanted.sha256 == found.sha256:
        return
    raise UsageError(
        "the folder was compiled with other calibration samples: the hashes differ",
        where=Where(found.file or "the calibration samples"),
        help=f"give those with --calibration {wanted.file or 'FILE.npz'}, or compile again",
    )
