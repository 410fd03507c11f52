"""The node tests of ONNX itself: what is read of them computes what their owner says, none wrong.

A case is taken where its first input is float32 of a batch of one; its other inputs become
constants. What is not read is refused with its name and a way out.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.backend.test.case.node import collect_testcases

from tests.support.imported import users_output
from tinytrain.errors import ModelError
from tinytrain.frontend import load_model

ERROR = 1e-4
RIGHT = 51
"""So many cases were right when this was written, 181 refused."""


@dataclass(frozen=True)
class Case:
    """A model of one input, that input, and the output that its owner wants."""

    name: str
    model: onnx.ModelProto
    x: np.ndarray
    wanted: np.ndarray


def usable_cases() -> Iterator[Case]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what overflows there is meant to
        cases = collect_testcases(None)
    for case in cases:
        inputs, outputs = case.data_sets[0]
        if not inputs or not all(isinstance(a, np.ndarray) for a in (*inputs, *outputs[:1])):
            continue
        x, wanted = inputs[0], outputs[0]
        names = [value.name for value in case.model.graph.input]
        if x.dtype != np.float32 or x.ndim < 2 or x.shape[0] != 1 or not wanted.size:
            continue
        if len(names) != len(inputs):
            continue
        model = onnx.ModelProto()
        model.CopyFrom(case.model)
        del model.graph.input[1:]
        model.graph.initializer.extend(
            onnx.numpy_helper.from_array(array, name)
            for name, array in zip(names[1:], inputs[1:], strict=True)
        )
        yield Case(case.name, model, x, wanted)


def verdict(case: Case, path: Path) -> str:
    """right, wrong, or what the refusal says."""
    path.write_bytes(case.model.SerializeToString())
    try:
        graph = load_model(path)
    except ModelError as error:
        return str(error)
    ours = users_output(graph, case.x)
    if "logsoftmax" in case.name:
        ours = np.log(ours)  # both are left out of what runs on the device
    if ours.shape != case.wanted.shape:
        return "wrong"
    return "right" if np.allclose(ours, case.wanted, rtol=ERROR, atol=ERROR) else "wrong"


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    path = tmp_path_factory.mktemp("cases") / "case.onnx"
    return {case.name: verdict(case, path) for case in usable_cases()}


def test_none_is_wrong(verdicts: dict[str, str]) -> None:
    assert [name for name, said in verdicts.items() if said == "wrong"] == []
    assert sum(said == "right" for said in verdicts.values()) >= RIGHT


def test_every_refusal_has_a_way_out(verdicts: dict[str, str]) -> None:
    refused = {name: said for name, said in verdicts.items() if said not in ("right", "wrong")}
    assert [name for name, said in refused.items() if "\n  help: " not in said] == []
    assert [name for name, said in refused.items() if "contradict" in said] == []
