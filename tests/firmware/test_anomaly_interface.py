"""The C interface of what is not normal: verdicts, files, corrections; what it costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.host_programs import SANITIZERS, Compile, link

OPTIONS: dict[str, Any] = {"anomaly_warm_up": 16, "anomaly_in_a_row": 2}


@pytest.mark.parametrize("kind", ["error", "diagonal", "covariance"])
@pytest.mark.parametrize("scheme", ["last-1", "full"])
def test_watching(kind: str, scheme: str, generated: Compile, tmp_path: Path) -> None:
    loss = "mean_squared_error" if kind == "error" else "cross_entropy"
    rate = 0.0 if kind == "error" else 0.01  # the error of what is normal stays the same
    folder = generated(
        "small", scheme=scheme, loss=loss, anomaly=kind, learning_rate=rate, **OPTIONS
    )
    flags = (*SANITIZERS, *(["-DOF_ERROR"] if kind == "error" else []))
    assert link("anomaly.c", [folder], tmp_path, flags=flags).run() == "ok\n"


def test_what_it_costs(generated: Compile) -> None:
    """The histogram and a head; two floats a feature, or one for each pair and three."""
    found = {}
    for kind in ("off", "diagonal", "covariance"):
        options = {} if kind == "off" else OPTIONS
        folder = generated("small", scheme="last-1", anomaly=kind, **options)
        found[kind] = json.loads((folder / "manifest.json").read_text())
    size = found["off"]["frozen_bytes"]
    head = 8 + 2 * 256
    assert found["off"]["anomaly"] is None and "what is normal" not in found["off"]["ram"]
    assert found["diagonal"]["anomaly"]["features"] == size
    assert found["diagonal"]["ram"]["what is normal"] == head + 8 * size
    covariance = head + 4 * (2 * size + size * (size - 1) // 2)
    saved = {kind: manifest["saved_bytes"] for kind, manifest in found.items()}
    assert saved["covariance"] - saved["off"] == covariance
    assert found["covariance"]["ram"]["what is normal"] == covariance + 4 * size
    # The rest is the same, but for alignment and what the longer result takes on the stack.
    for kind in ("diagonal", "covariance"):
        grown = found[kind]["ram"]["total"] - found["off"]["ram"]["total"]
        assert 0 <= grown - found[kind]["ram"]["what is normal"] < 512
