"""The committed ONNX files are what the READMEs say they are."""

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from examples.digits import data as digits
from examples.digits.story import MODEL as DIGITS
from examples.watch import data as watch
from examples.watch.story import MODEL as WATCH
from examples.watch.story import PERSON


def accuracy(model: Path, x: np.ndarray, y: np.ndarray) -> float:
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    logits = [session.run(None, {"x": x[i : i + 1]})[0][0] for i in range(len(x))]
    return float((np.argmax(logits, axis=1) == y).mean())


def said(model: Path, pattern: str) -> float:
    """The number that a README states, found by a pattern with one group."""
    text = (model.parent / "README.md").read_text(encoding="utf-8")
    found = re.search(pattern, text, re.MULTILINE)
    assert found, f"{model.parent.name}/README.md does not say {pattern}"
    return float(found.group(1))


@pytest.mark.parametrize(
    ("model", "shape", "classes"),
    [
        (WATCH, (watch.CHANNELS, watch.WINDOW), len(watch.EXERCISES)),
        (DIGITS, digits.SHAPE, digits.CLASSES),
    ],
)
def test_the_file_is_small_static_and_of_opset_17(model, shape, classes):
    assert model.stat().st_size < 100_000
    proto = onnx.load(model)
    onnx.checker.check_model(proto, full_check=True)
    assert [(one.domain, one.version) for one in proto.opset_import] == [("", 17)]
    (given,), (result,) = proto.graph.input, proto.graph.output
    assert [d.dim_value for d in given.type.tensor_type.shape.dim] == [1, *shape]
    assert [d.dim_value for d in result.type.tensor_type.shape.dim] == [1, classes]
    assert "Add" in {node.op_type for node in proto.graph.node}, "a residual connection is promised"


def test_watch_accuracy_before_is_what_its_readme_says():
    second = watch.second_half(PERSON)
    row = rf"^\| {PERSON} \| {len(second.y)} \| ([0-9.]+) \|"
    assert accuracy(WATCH, second.x, second.y) == pytest.approx(said(WATCH, row), abs=0.0006)


@pytest.mark.parametrize(
    ("images", "row"),
    [
        (digits.as_trained, r"^\| as the camera was \| ([0-9.]+) \|"),
        (digits.as_it_is_now, r"^\| tilted and pale \| ([0-9.]+) \|"),
    ],
)
def test_digits_accuracy_before_is_what_its_readme_says(images, row):
    test = images(digits.TEST)
    assert accuracy(DIGITS, test.x, test.y) == pytest.approx(said(DIGITS, row), abs=0.0006)
