"""Your own PyTorch module: train it, compile it from Python, let it go on learning.

.venv/bin/python -m examples.pytorch.own_model
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

import tinytrain
from examples.digits import data

FOLDER = Path("build") / "own-model"
TARGET = "stm32f746-disco"
STEPS = 2000
LEARNING_RATE = 0.003


class OwnNetwork(nn.Module):
    """Any module whose operations are supported; this one has a residual connection."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1)
        self.down = nn.Conv2d(16, 24, 3, stride=2, padding=1)
        self.inner = nn.Conv2d(24, 24, 3, padding=1)
        self.head = nn.Linear(24, data.CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = torch.relu(self.down(x))
        x = torch.relu(x + self.inner(x))
        return self.head(x.mean((2, 3)))


def train(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
    """However you train: this is a plain loop.

    Label smoothing keeps the logits small. Without it a network is so sure of itself that its first
    mistakes in a changed world make gradients too large for a learning rate that learns later on.
    """
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(500):
        chosen = torch.randint(len(x), (64,))
        loss = nn.functional.cross_entropy(network(x[chosen]), y[chosen], label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"loss after training {loss.item():.3f}")


def save_samples() -> dict[str, Path]:
    """Files with samples as the model was trained on, to learn from, and to be judged by."""
    parts = {
        "calibration": data.as_trained(data.TRAIN),
        "learn": data.as_it_is_now(data.ADAPT),
        "judge": data.as_it_is_now(data.TEST),
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    files = {name: FOLDER / f"{name}.npz" for name in parts}
    for name, images in parts.items():
        np.savez(files[name], x=images.x, y=images.y)
    return files


def main() -> None:
    """Compile the module from memory, and from the file that the command line would read."""
    torch.manual_seed(0)
    images = data.as_trained(data.TRAIN)
    network = OwnNetwork()
    train(network, torch.from_numpy(images.x), torch.from_numpy(images.y).long())
    network.eval()
    files = save_samples()

    example = torch.from_numpy(images.x[:1])
    exported = FOLDER / "own.pt2"
    torch.export.save(torch.export.export(network, (example,)), exported)

    for name, model, given in (
        ("from-module", network, example),
        ("from-pt2", exported, None),
    ):
        product = tinytrain.compile_model(
            model,
            given,
            output=FOLDER / name,
            target=TARGET,
            calibration=files["calibration"],
            scheme="full",
            learning_rate=LEARNING_RATE,
        )
        ram, flash = product.memory.ram["total"], product.memory.flash["total"]
        print(f"{product.directory}: {ram:,} bytes of RAM, {flash:,} of flash on {TARGET}")
        cost = product.quantization
        assert cost is not None, "a float model was quantized"
        print(f"  accuracy float {cost.accuracy_float:.1%}, int8 {cost.accuracy_int8:.1%}")
        result = tinytrain.simulate(
            product.directory, data=files["learn"], eval=files["judge"], steps=STEPS
        )
        print(
            f"  after the camera was knocked {result.accuracy_before:.1%}, "
            f"after {STEPS:,} steps {result.accuracy_after:.1%}"
        )


if __name__ == "__main__":
    main()
