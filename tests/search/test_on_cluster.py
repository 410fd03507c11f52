"""A search on a Ray cluster: the files of a local one, though a machine dies meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import tinytrain
from tests.support.ray_cluster import TwoMachines, two_machines
from tests.support.small_search import SHAPE, files, network, samples
from tinytrain.searches.conduct import Silent

ray = pytest.importorskip("ray", reason="Ray is not installed: tinytrain[ray]")

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]


@pytest.fixture
def machines() -> Iterator[TwoMachines]:
    with two_machines() as found:
        yield found


class Killer(Silent):
    """Kills one of two machines after so many trainings."""

    def __init__(self, machines: TwoMachines, after: int) -> None:
        self._machines, self._left = machines, after

    def ended(self, title: str, note: str) -> None:
        """Of a listener."""
        self._left -= 1
        if self._left == 0:
            self._machines.kill_second()


def test_a_search_on_a_cluster_writes_the_same_files(machines: TwoMachines, tmp_path: Path) -> None:
    def search(name: str, **how: Any) -> tinytrain.SearchResult:
        return tinytrain.search(
            network(),
            torch.zeros(1, *SHAPE),
            data=samples(60, 0),
            ram=15000,
            output=tmp_path / f"{name}.toml",
            store=tmp_path / name,
            **how,
        )

    here = search("here", workers=1)
    there = search("there", workers=machines.client, progress=Killer(machines, 5))
    assert there.new_trainings == here.new_trainings > 5
    assert files(there) == files(here)
