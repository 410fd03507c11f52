"""The cases of ../shared: the import equals the format's reference, node by node and at the end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.imported import float_output
from tests.support.paths import SHARED
from tinytrain.errors import ModelError
from tinytrain.frontend import import_model
from tinytrain.frontend.proof import prove
from tinytrain.ir.types import DType

CASES = SHARED / "cases"
REFUSED = {
    "batchnorm_training_mode.onnx": "exported in training mode",
    "pt2_batch4.pt2": "several rows at once",
    "pt2_pad_reflect.pt2": "'reflect'",
}
MODELS = sorted(
    path
    for suffix in ("onnx", "tflite", "pt2")
    for path in CASES.glob(f"*.{suffix}")
    if path.name not in REFUSED
)
PARAMETERS = [pytest.param(path, id=path.name) for path in MODELS] or [
    pytest.param(None, marks=pytest.mark.skip(reason="../shared/cases is missing"))
]


@pytest.mark.parametrize("path", PARAMETERS)
def test_every_node_equals_the_reference(path: Path) -> None:
    proof = prove(import_model(path))
    assert proof.reference is not None, proof.help
    assert proof.tensors >= 1


@pytest.mark.parametrize("path", PARAMETERS)
def test_the_output_is_the_wanted_one(path: Path) -> None:
    answers = path.with_suffix(".npz")
    # A case without answers is one of the import alone, which the test above compares.
    if not answers.is_file():
        pytest.skip(f"{path.name} has no answers beside it")
    with np.load(answers) as data:
        if "wanted" not in data:
            pytest.skip(f"{answers.name} holds a set to learn, not answers")
        x, wanted = data["x"], data["wanted"]
    graph = import_model(path).graph
    ours = np.concatenate([float_output(graph, sample[None]) for sample in x])
    steps = [
        max(value.type.quantization.scale)
        for value in graph.values()
        if value.type.dtype is DType.S8 and value.type.quantization is not None
    ]
    error = np.abs(ours.reshape(wanted.shape) - wanted).max()
    assert error <= (2 * max(steps) if steps else 1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_be_honoured_is_refused(name: str) -> None:
    if not (CASES / name).is_file():
        pytest.skip(f"../shared/cases/{name} is missing")
    with pytest.raises(ModelError) as caught:
        import_model(CASES / name)
    assert REFUSED[name] in str(caught.value)


def test_a_wrong_weight_is_found() -> None:
    path = CASES / "plain_head.onnx"
    if not path.is_file():
        pytest.skip("../shared/cases/plain_head.onnx is missing")
    imported = import_model(path)
    weight = max(imported.graph.constants.values(), key=np.size)
    weight.flat[0] += 1.0
    with pytest.raises(ModelError, match=r"plain_head\.onnx"):
        prove(imported)
