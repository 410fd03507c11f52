"""A network learns from random weights, and headroom is what lets it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from examples.digits import data
from examples.scratch import networks
from examples.training import make_deterministic
from tests.support.paths import ROOT, SHARED
from tinytrain.compiler.compile import compile_model
from tinytrain.experiments.toml_file import load_experiment
from tinytrain.frontend import load_model
from tinytrain.simulation.result import SimulationResult
from tinytrain.simulation.session import simulate

STEPS = 6000
EXPERIMENTS = ROOT / "examples" / "experiments"
CIFAR = SHARED / "data" / "cifar10.npz"


class Small(nn.Module):
    """Two convolutions and a residual block for the digits."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(data.SHAPE[0], 16, 3, padding=1)
        self.down = nn.Conv2d(16, 24, 3, stride=2, padding=1)
        self.block = networks.Block(24)
        self.head = nn.Linear(24, data.CLASSES)
        networks.start(self)
        nn.init.zeros_(self.block.b.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.down(torch.relu(self.stem(x))))
        return self.head(self.block(x).mean((2, 3)))


def learned(folder: Path, headroom: float) -> SimulationResult:
    make_deterministic(0)
    files = {}
    for name, part in (("learn", networks.LEARN), ("judge", networks.JUDGE)):
        images = data.as_trained(part)
        files[name] = folder / f"{name}.npz"
        np.savez(files[name], x=images.x, y=images.y)
    product = compile_model(
        Small().eval(),
        torch.zeros(1, *data.SHAPE),
        output=folder / f"headroom-{headroom:g}",
        calibration=files["learn"],
        weight_headroom=headroom,
        range_headroom=headroom,
        schedule="constant",
    )
    return simulate(
        product.directory,
        data=files["learn"],
        eval=files["judge"],
        steps=STEPS,
        learning_rate=0.01,
    )


@pytest.mark.slow
def test_headroom_lets_random_weights_learn(tmp_path: Path) -> None:
    with_room, without = learned(tmp_path, 4.0), learned(tmp_path, 1.0)
    assert with_room.accuracy_after is not None
    assert with_room.accuracy_after > 0.8
    assert np.mean(with_room.losses[-1000:]) < 0.6
    # The logits saturate: the network guesses half of the digits and is sure of none.
    assert without.accuracy_after is not None
    assert without.accuracy_after < 0.75
    assert np.mean(without.losses[-1000:]) > 1.5


def test_fresh_networks_are_the_same_for_the_same_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["networks", "--seed", "3", "--output", str(tmp_path)])
    networks.main()
    files = sorted(tmp_path.glob("*.onnx"))
    assert [path.name for path in files] == [
        f"{name}-{what}-3.onnx" for name in ("plain", "residual") for what in ("digits", "images")
    ]
    written = [path.read_bytes() for path in files]
    networks.main()
    assert written == [path.read_bytes() for path in files]
    for path in files:
        model = load_model(path)
        weights = sum(
            np.prod(node.inputs[1].type.shape) for node in model.nodes if len(node.inputs) == 3
        )
        assert 40_000 < weights < 100_000
    with np.load(tmp_path / "digits.npz") as digits:
        assert digits["x_train"].shape == (1347, *data.SHAPE)
        assert len(digits["y_test"]) == 450


@pytest.mark.parametrize("name", ["scratch", "scratch-digits"])
def test_the_experiments_name_what_is_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "scratch" and not CIFAR.is_file():
        pytest.skip("../shared/data/cifar10.npz is missing")
    folder = tmp_path / "repository" / "examples" / "experiments"
    folder.mkdir(parents=True)
    (tmp_path / "shared").symlink_to(CIFAR.parents[1])
    shutil.copy(EXPERIMENTS / f"{name}.toml", folder)
    monkeypatch.chdir(tmp_path / "repository")
    monkeypatch.setattr("sys.argv", ["networks"])
    networks.main()
    experiment = load_experiment(folder / f"{name}.toml")
    assert [model.name for model in experiment.models] == list(networks.NETWORKS)
    rules = {rule.name: rule for rule in experiment.rules}
    assert set(rules) == {"float", "headroom 4", "headroom 8", "no headroom"}
    for factor in (4.0, 8.0):
        options = rules[f"headroom {factor:g}"].options
        headroom = {"weight_headroom": factor, "range_headroom": factor}
        assert options == {"schedule": "cosine", **headroom}
