"""What quantization costs is counted as the loss predicts: samples, pixels or labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import tinytrain


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_pixels_and_labels_are_counted_each(tmp_path: Path, loss: str) -> None:
    torch.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(4, 2, 3, 5)).astype(np.float32)
    module = torch.nn.Conv2d(2, 3, 3, padding=1).eval()
    product = tinytrain.compile_model(
        module, x[:1], output=tmp_path / "m", calibration=x, loss=loss, scheme="head"
    )
    found = product.manifest.quantization
    assert found is not None
    with torch.no_grad():
        real = module(torch.from_numpy(x)).numpy()
    with tinytrain.load(tmp_path / "m") as device:
        ours = device.predict(x)
    of = (lambda y: y.argmax(1)) if loss == "cross_entropy" else (lambda y: y > 0)
    assert found.agreement == np.mean(of(real) == of(ours)) > 0.9
    assert found.accuracy_float is None
