"""Train the network of the digits demo and write digits.onnx.

    .venv/bin/python -m examples.digits.train

Needs PyTorch and onnx. The same seed gives the same file on the same machine and PyTorch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from torch import nn

from examples.digits import data
from examples.digits.story import MODEL
from examples.training import (
    Samples,
    SmallNetwork,
    accuracy,
    export_onnx,
    fit,
    make_deterministic,
)

SEED = 0
EPOCHS = 40
BATCH = 32


def samples(images: data.Images) -> Samples:
    """The images as plain arrays."""
    return Samples(images.x, images.y)


def trained_network(seed: int) -> nn.Module:
    """The network trained on the first 900 digits as the good camera saw them."""
    make_deterministic(seed)
    network = SmallNetwork(2, data.SHAPE[0], data.CLASSES, stem_kernel=3, stem_stride=1, kernel=3)
    clean = samples(data.as_trained(data.TRAIN))
    return fit(network, clean, epochs=EPOCHS, batch=BATCH, augment=0.1)


def main() -> None:
    """Parse the command line and do what it asks."""
    parser = argparse.ArgumentParser(description="Train the network of the digits demo.")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--output", type=Path, default=MODEL, help="the ONNX file to write")
    options = parser.parse_args()
    network = trained_network(options.seed)
    export_onnx(network, data.SHAPE, options.output)
    print(f"wrote {options.output}: {sum(p.numel() for p in network.parameters())} parameters")
    for name, images in (
        ("tilted and pale", data.as_it_is_now(data.TEST)),
        ("as the camera was", data.as_trained(data.TEST)),
    ):
        print(f"accuracy in float, {name}: {accuracy(network, samples(images)):.3f}")


if __name__ == "__main__":
    main()
