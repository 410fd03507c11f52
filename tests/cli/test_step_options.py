"""Options of a step from the command line to the end of a session."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.support.onnx_models import CLASSES, SHAPE, quantized_model
from tinytrain.cli import main

SCHEME = """
biases = "all"
[weights]
conv_1 = 1.0
[rates]
conv_1 = 0.5
head = 2
"""


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """Noise with labels: whatever is learned of it is of no use for other noise."""
    rng = np.random.default_rng(3)
    path = tmp_path / "samples.npz"
    x = rng.standard_normal((24, *SHAPE[1:])).astype(np.float32)
    np.savez(path, x=x, y=rng.integers(0, CLASSES, 24))
    return path


def run(*arguments: object) -> None:
    assert main([str(argument) for argument in arguments]) == 0


def test_a_session_with_everything(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, folder, scheme = (tmp_path / name for name in ("m.onnx", "out", "own.toml"))
    quantized_model(model)
    scheme.write_text(SCHEME)
    run("compile", model, "-o", folder, "--scheme", scheme, "--learning-rate", 0.02,
        "--schedule", "cosine:60", "--warm-up", 5, "--label-smoothing", 0.1)  # fmt: skip
    options = json.loads((folder / "manifest.json").read_text())["options"]
    assert (options["schedule"], options["warmup"]) == ("cosine:60", 5)
    assert (options["label_smoothing"], options["qas"]) == (0.1, True)
    header = (folder / "src" / "m.h").read_text()
    assert "a warm-up of 5 steps, then a cosine to 0 in 60 steps" in header

    session = ("simulate", folder, "--data", samples, "--eval", samples, "--evaluate-every", 10)
    capsys.readouterr()
    run(*session, "--steps", 100, "--json")
    figures = json.loads(capsys.readouterr().out)
    assert [point["step"] for point in figures["curve"]] == list(range(10, 101, 10))
    # The cosine ends after step 65; from then on nothing changes, and neither does the loss.
    losses = [point["loss"] for point in figures["curve"]]
    assert len(set(losses[6:])) == 1 and len(set(losses[:6])) == 6

    run(*session, "--steps", 100, "--patience", 2)
    shown = capsys.readouterr()
    assert re.search(r"evaluate 1/10 step 10: loss \d\.\d{4}, accuracy \d+\.\d%", shown.err)
    assert re.search(r"step\W+accuracy\W+balanced\W+loss", shown.out)
    stopped = re.search(r"stopped at\W+(\d+)", shown.out)
    best = re.search(r"best at\W+(\d+)", shown.out)
    assert stopped and best and int(stopped[1]) == int(best[1]) + 20
