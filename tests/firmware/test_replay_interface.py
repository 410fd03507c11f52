"""The C interface of a replay buffer: callbacks that fail, torn slots, forged files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.host_programs import SANITIZERS, Compile, link


@pytest.mark.parametrize("place", ["ram", "flash"])
@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error"])
@pytest.mark.parametrize("scheme", ["last-1", "full"])
def test_replay(place: str, loss: str, scheme: str, generated: Compile, tmp_path: Path) -> None:
    folder = generated("small", scheme=scheme, loss=loss, replay=6, replay_in=place)
    flags = (*SANITIZERS, *(["-DIN_FLASH"] if place == "flash" else []))
    assert link("replay.c", [folder], tmp_path, flags=flags).run() == "ok\n"


def test_what_a_slot_costs(generated: Compile) -> None:
    """In RAM a sample and two bytes; in flash two bytes of RAM."""
    totals = {}
    for place in ("ram", "flash"):
        for slots in (10, 510):
            folder = generated("small", scheme="last-1", replay=slots, replay_in=place)
            totals[place, slots] = json.loads((folder / "manifest.json").read_text())
    held = totals["ram", 10]["frozen_bytes"]
    # What lies behind the buffer is aligned, to 32 bytes at most.
    grown = {
        place: totals[place, 510]["ram"]["total"] - totals[place, 10]["ram"]["total"]
        for place in ("ram", "flash")
    }
    assert abs(grown["ram"] - 500 * (held + 2)) < 32
    assert abs(grown["flash"] - 500 * 2) < 32
    assert totals["ram", 10]["replay"]["slot_bytes"] == held
    # With the label and a CRC.
    assert totals["flash", 10]["replay"]["slot_bytes"] == 4 + held + 4
    saved = {key: manifest["saved_bytes"] for key, manifest in totals.items()}
    assert saved["ram", 510] == saved["ram", 10]
    files = {slots: totals["ram", slots]["replay"]["samples_bytes"] for slots in (10, 510)}
    assert files[510] - files[10] == 500 * (held + 2)
    assert totals["flash", 10]["replay"]["samples_bytes"] == 0
    assert saved["flash", 510] - saved["flash", 10] == 500 * 2
