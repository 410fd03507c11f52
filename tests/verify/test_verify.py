"""`verify`: what it compares, what it names, and what it refuses."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinytrain
from tests.support.onnx_models import CLASSES, LAYERS, SHAPE, float_model, quantized_model
from tests.support.paths import ROOT
from tests.support.refusals import Refuse
from tests.support.tflite_models import small_model
from tinytrain.cli import main
from tinytrain.frontend import import_model
from tinytrain.frontend.onnx.operands import OnnxOperands
from tinytrain.frontend.proof import prove
from tinytrain.manifest import read_manifest
from tinytrain.quantize.calibrate import quantize_float
from tinytrain.quantize.layer_errors import layer_errors
from tinytrain.simulation.library import HostLibrary

USAGE_ERROR, MODEL_ERROR, TOOLCHAIN_ERROR = 2, 3, 7


def calibration(folder: Path, seed: int = 0) -> Path:
    """Samples for `float_model`."""
    path = folder / f"calibration{seed}.npz"
    np.savez(path, x=np.random.default_rng(seed).normal(size=(8, *SHAPE[1:])).astype(np.float32))
    return path


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a float model, its samples and what was compiled of them."""
    place = tmp_path_factory.mktemp("verify")
    model, samples = float_model(place / "small.onnx"), calibration(place)
    tinytrain.compile_model(model, output=place / "out", calibration=samples, scheme="head")
    return place


# --- a model file ---------------------------------------------------------------------------------


def test_layers_of_a_quantized_model(tmp_path: Path) -> None:
    found = tinytrain.verify(quantized_model(tmp_path / "q.onnx"))
    assert found.proof.reference == "onnxruntime" and found.proof.tensors >= 8
    assert {layer.layer for layer in found.layers} >= {"input", *LAYERS}
    assert (found.measured_on, found.quantization, found.device) == ("noise", None, None)
    for layer in found.layers:
        assert layer.correlation > 0.99 and 0 <= layer.added <= layer.error < 0.2, layer


def test_a_float_model_without_samples_has_its_import_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = float_model(tmp_path / "small.onnx")
    assert main(["verify", str(model)]) == 0
    told = capsys.readouterr().out
    assert "5 tensors equal those of onnxruntime" in told and "add --calibration" in told


def test_the_layer_whose_scale_is_too_coarse_is_the_worst() -> None:
    model = import_model(ROOT / "examples/digits/digits.onnx").graph
    samples = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype(np.float32)
    good = quantize_float(model, samples)
    before = {layer.layer: layer.added for layer in layer_errors(model, good, samples)}
    quantizes = [node for node in good.nodes if node.op == "quantize"]
    victim = quantizes[len(quantizes) // 2].output
    meaning = victim.type.quantization
    assert meaning is not None
    coarse = replace(
        victim,
        type=replace(victim.type, quantization=replace(meaning, scale=(meaning.scale[0] * 24,))),
    )

    def swapped(values: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(coarse if value == victim else value for value in values)

    nodes = tuple(
        replace(node, inputs=swapped(node.inputs), outputs=swapped(node.outputs))
        for node in good.nodes
    )
    layers = layer_errors(model, replace(good, nodes=nodes), samples)
    worst = max(layers, key=lambda layer: layer.added)
    assert worst.added > 0.05 > 10 * before[worst.layer] / 2
    assert worst.op == "conv2d"


def test_what_lies_outside_of_the_range_is_counted(tmp_path: Path) -> None:
    model = quantized_model(tmp_path / "q.onnx", scale=0.005)
    np.savez(tmp_path / "wide.npz", x=np.full((4, *SHAPE[1:]), 3.0, np.float32))
    found = tinytrain.verify(model, calibration=tmp_path / "wide.npz")
    assert found.layers[0].layer == "input" and found.layers[0].clipped == 1.0


# --- a folder -------------------------------------------------------------------------------------


def test_the_c_of_a_folder_equals_the_reference(
    compiled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(compiled / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["device"] == {"samples": 8, "outputs": 8 * CLASSES}
    assert found["proof"]["reference"] == "onnxruntime"
    assert found["quantization"]["samples"] == 8 and found["layers"] and found["worst"]
    assert main(["verify", str(compiled / "out")]) == 0
    assert f"{8 * CLASSES} outputs of 8 inputs equal" in capsys.readouterr().out


def test_c_that_gives_something_else_is_an_error(
    compiled: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = HostLibrary.infer

    def infer(self: HostLibrary, inputs: np.ndarray) -> np.ndarray:
        found = before(self, inputs)
        found[2, 1] = np.nextafter(found[2, 1], np.float32(np.inf))
        return found

    monkeypatch.setattr(HostLibrary, "infer", infer)
    assert main(["verify", str(compiled / "out")]) == TOOLCHAIN_ERROR
    assert "output 1 of sample 2" in capsys.readouterr().err


def test_the_files_of_a_folder_have_to_be_those(compiled: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(compiled / "out", tmp_path / "out")

    def refusal(**given: Any) -> tinytrain.TinytrainError:
        with pytest.raises(tinytrain.TinytrainError) as caught:
            tinytrain.verify(folder, **given)
        return caught.value

    assert "samples that the folder was compiled with are not found" in refusal().what
    samples = calibration(tmp_path)
    assert "'small.onnx' is not found" in refusal(calibration=samples).what
    other = quantized_model(tmp_path / "other.onnx")
    assert "from another file" in refusal(calibration=samples, source=other).what
    shutil.copy(compiled / "small.onnx", tmp_path)
    assert tinytrain.verify(folder).device is not None
    assert "other calibration" in refusal(calibration=calibration(tmp_path, 1)).what
    shutil.copy(compiled / "small.onnx", tmp_path / "renamed.onnx")
    (tmp_path / "small.onnx").unlink()
    assert tinytrain.verify(folder, source=tmp_path / "renamed.onnx").device is not None


def test_a_model_file_has_no_source(tmp_path: Path, refuse: Refuse) -> None:
    model = quantized_model(tmp_path / "q.onnx")
    assert "its own source" in refuse(USAGE_ERROR, "verify", model, "--source", model)


# --- every compile --------------------------------------------------------------------------------


def test_a_wrong_import_is_an_error_and_nothing_is_written(
    tmp_path: Path, refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, samples = float_model(tmp_path / "m.onnx"), calibration(tmp_path)
    before = OnnxOperands.x

    def x(self: OnnxOperands, number: int = 0) -> Any:
        held = before(self, number)
        return replace(held, data=held.data * 2) if self.kind == "MatMul" and number else held

    monkeypatch.setattr(OnnxOperands, "x", x)
    out = tmp_path / "out"
    told = refuse(MODEL_ERROR, "compile", model, "-o", out, "--calibration", samples)
    assert "computes the tensor 'y' otherwise than onnxruntime" in told
    assert "at: m.onnx, node 'y'" in told
    assert "otherwise than" in refuse(MODEL_ERROR, "verify", model)
    assert "otherwise than" in refuse(MODEL_ERROR, "inspect", model)


def test_what_is_known_of_the_import_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out = quantized_model(tmp_path / "q.onnx"), tmp_path / "out"
    assert main(["compile", str(model), "-o", str(out), "--scheme", "head"]) == 0
    assert "tensors equal those of onnxruntime" in capsys.readouterr().out
    proof = read_manifest(out).proof
    assert proof is not None and proof.help is None and proof.tensors >= 8
    assert main(["report", str(out)]) == 0
    assert proof.sentence() in capsys.readouterr().out
    assert proof.sentence() in (out / "build/report.html").read_text(encoding="utf-8")


def test_without_onnxruntime_onnx_has_an_evaluator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    path = quantized_model(tmp_path / "q.onnx")
    proof = prove(import_model(path))
    assert proof.reference == "onnx's reference evaluator" and proof.tensors >= 8
    monkeypatch.setattr(sys.modules["tinytrain.frontend.onnx.reference"], "_MOST", 10)
    proof = prove(import_model(path))
    assert proof.sentence() == (
        "import not verified: onnx's reference evaluator would take minutes; "
        "pip install 'tinytrain[verify]'"
    )


def test_what_onnxruntime_cannot_run_the_evaluator_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    def refuse(*given: Any, **more: Any) -> None:
        raise RuntimeError("Unsupported model IR version: 99")

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    path = quantized_model(tmp_path / "q.onnx")
    assert prove(import_model(path)).reference == "onnx's reference evaluator"
    monkeypatch.setattr(sys.modules["tinytrain.frontend.onnx.reference"], "_MOST", 10)
    assert prove(import_model(path)).sentence() == (
        "import not verified: onnxruntime cannot run the model: Unsupported model IR version: 99"
    )


def test_without_litert_a_tflite_model_is_not_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(small_model())
    assert prove(import_model(path)).reference == "LiteRT"
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    proof = prove(import_model(path))
    assert (proof.reference, proof.tensors, proof.samples) == (None, 0, 0)
    assert proof.sentence() == (
        "import not verified: LiteRT is not installed; pip install 'tinytrain[verify]'"
    )
