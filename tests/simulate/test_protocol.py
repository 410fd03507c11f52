"""The lines of main.c, read back, and saved files."""

from __future__ import annotations

import dataclasses
import struct
import zlib

import numpy as np
import pytest

from tests.support.saved_files import FORMAT, HEADER
from tinytrain.data import Dataset, SampleSpec
from tinytrain.errors import DataError, ModelError, ToolchainError, UsageError
from tinytrain.reference.health import GradientHealth, Health, UpdateHealth
from tinytrain.saved_file import read_saved
from tinytrain.simulation.engine import Checkpoint, ignore_progress
from tinytrain.simulation.protocol import ProtocolReader
from tinytrain.simulation.stream import SampleStream


def saved_file(weights: bytes = b"weights!", state: bytes = b"state") -> bytes:
    body = HEADER.pack(b"TTRN", FORMAT, bytes(range(32)), len(weights + state), len(weights))
    body += weights + state
    return body + struct.pack("<I", zlib.crc32(body))


def plan(classes: int = 2, steps: int = 2, evals: int = 1) -> SampleStream:
    spec = SampleSpec((1, 1, 1, 3), (1, 3), "NC", 2, classes, scale=1.0)
    data = Dataset(spec, np.zeros((evals or 1, 1, 1, 3), np.float32), np.zeros(evals, np.int32))
    return SampleStream(data, np.zeros(steps, np.int64), data if evals else None, learning_rate=1.5)


CLASSIFICATION = """model fake
before 0 prediction 1 instructions 0x0000000000000010
step 0 loss 0x3f800000 prediction 0 instructions 0x0000000100000000
something else on the way
step 1 loss 0x7f800000 prediction 1 instructions 0x0000000000000020
after 0 prediction 0 instructions 0x0000000000000011
stack 1234
done"""


def test_health() -> None:
    reader = ProtocolReader(plan(), ignore_progress)
    lines = """health steps 160 skipped 4
gradient 0 saturated 16 rises 1 falls 2
update 0 seen 1000 lost 5 at_end 14
update 1 seen 0 lost 0 at_end 0
stack"""
    for line in CLASSIFICATION.replace("stack", lines).splitlines():
        reader.line(line)
    assert reader.outcome(saved_file()).health == Health(
        160, 4, [GradientHealth(16, 1, 2)], [UpdateHealth(1000, 5), UpdateHealth()], [14, 0]
    )


def test_classification() -> None:
    calls: list[tuple[str, int, int, str]] = []
    reader = ProtocolReader(plan(), lambda *call: calls.append(call))
    for line in CLASSIFICATION.splitlines():
        reader.line(line)
    outcome = reader.outcome(saved_file())
    assert outcome.losses.tolist() == [1.0, float("inf")]
    assert outcome.losses.dtype == np.float32
    assert outcome.predictions == (0, 1)
    assert outcome.before.predictions == (1,)
    assert outcome.after.predictions == (0,)
    assert outcome.step_instructions == (2**32, 32)
    assert outcome.infer_instructions == (16, 17)
    assert outcome.stack_used == 1234
    assert outcome.weights == b"weights!"
    assert calls == [
        ("evaluate before", 1, 1, "accuracy 0.0%"),
        ("train", 1, 2, "loss 1.0000"),
        ("train", 2, 2, "loss 1.0000"),  # a step that was skipped is in no mean
        ("evaluate after", 1, 1, "accuracy 100.0%"),
    ]


def test_evaluations_between_steps() -> None:
    calls: list[tuple[str, int, int, str]] = []
    evaluated = dataclasses.replace(plan(steps=5), evaluate_every=1, patience=1)
    reader = ProtocolReader(evaluated, lambda *call: calls.append(call))
    for line in (
        "before 0 prediction 1 instructions 0x0000000000000010",
        "step 0 loss 0x3f800000 prediction 0 instructions 0x0000000000000020",
        "between 0 prediction 0",
        "evaluation 1 correct 1 loss 0x3f000000 improved",
        "step 1 loss 0x3f800000 prediction 0 instructions 0x0000000000000020",
        "between 0 prediction 1",
        "evaluation 2 correct 0 loss 0x7f800000 stop",
        "after 0 prediction 0 instructions 0x0000000000000011",
        "stack 1234",
        "done",
    ):
        reader.line(line)
    outcome = reader.outcome(saved_file())
    assert outcome.checkpoints == (
        Checkpoint(1, 1, 0.5, "improved", (0,)),
        Checkpoint(2, 0, float("inf"), "stop", (1,)),
    )
    assert outcome.losses.size == 2
    assert ("train", 1, 5, "evaluating 1/1") in calls
    assert ("evaluate", 1, 5, "step 1: loss 0.5000, accuracy 100.0%, improved") in calls
    assert ("evaluate", 2, 5, "step 2: loss inf, accuracy 0.0%, stop") in calls


def test_steps_that_are_missing_though_nothing_stopped() -> None:
    reader = ProtocolReader(dataclasses.replace(plan(), evaluate_every=1), ignore_progress)
    for line in CLASSIFICATION.splitlines():
        waiting = "evaluation 1 correct 0 loss 0x00000000 waiting"
        reader.line(waiting if line.startswith("step 1") else line)
    with pytest.raises(ToolchainError, match="ended before its work was done"):
        reader.outcome(saved_file())


def test_a_program_of_another_version() -> None:
    reader = ProtocolReader(plan(), ignore_progress)
    reader.line("error stream 5")
    with pytest.raises(ModelError, match="compiled by another version"):
        raise reader.failed("the firmware ended with exit code 1")


def test_regression() -> None:
    reader = ProtocolReader(plan(classes=0, steps=1), ignore_progress)
    for line in (
        "before 0 squares 0x3ff8000000000000 instructions 0x0000000000000000",
        "step 0 loss 0x40000000 instructions 0x0000000000000000",
        "after 0 squares 0x0000000000000000 instructions 0x0000000000000000",
        "stack 0",
        "done",
    ):
        reader.line(line)
    outcome = reader.outcome(saved_file())
    assert outcome.before.squares == (1.5,)
    assert outcome.after.squares == (0.0,)
    assert outcome.predictions == ()
    assert outcome.stack_used is None


@pytest.mark.parametrize("missing", [1, 2, 4, 5, 7])
def test_every_line_is_needed(missing: int) -> None:
    lines = CLASSIFICATION.splitlines()
    del lines[missing]
    reader = ProtocolReader(plan(), ignore_progress)
    with pytest.raises(ToolchainError, match=r"before its work was done|out of order"):
        for line in lines:
            reader.line(line)
        reader.outcome(saved_file())


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        ("error load 7", DataError, "the saved parameters are damaged"),
        ("error load 6", DataError, "the saved parameters belong to another model"),
        ("error load 5", DataError, "no saved parameters of this format"),
        ("error load 4", DataError, "cannot be loaded (TT_ERROR_IO)"),
        ("error set_learning_rate 3", UsageError, "a learning rate of 1.5"),
        ("error train_step 1", ToolchainError, "stopped with TT_ERROR_LABEL in 'train_step'"),
        ("error train_step 77", ToolchainError, "stopped with status 77 in 'train_step'"),
        ("hard fault", ToolchainError, "it broke"),
    ],
)
def test_errors_of_the_firmware(line: str, kind: type[Exception], message: str) -> None:
    reader = ProtocolReader(plan(), ignore_progress)
    reader.line(line)
    error = reader.failed("it broke")
    assert type(error) is kind
    assert message in str(error)
    if kind is ToolchainError and line == "hard fault":
        assert "hard fault" in str(error)


def test_saved_file_is_taken_apart() -> None:
    saved = read_saved(saved_file())
    assert saved.model_hash == bytes(range(32))
    assert (saved.weights, saved.state) == (b"weights!", b"state")


def changed(at: int, value: int) -> bytes:
    data = bytearray(saved_file())
    data[at] = value
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "holds no saved parameters"),
        (changed(0, 0), "holds no saved parameters"),
        (changed(4, 3), "have format 3, but this version reads format 2"),
        (changed(40, 99), "do not have the size they state"),
        (changed(44, 99), "do not have the size they state"),
        (saved_file()[:-1], "do not have the size they state"),
        (changed(50, 0), "damaged"),
        (changed(-1, saved_file()[-1] ^ 1), "damaged"),
    ],
)
def test_refused_saved_files(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_saved(data)
