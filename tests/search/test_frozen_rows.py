"""Frozen activations that trainings share are those that each would compute for itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.graphs import GRAPHS
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.compiler.samples import sample_spec
from tinytrain.data import Dataset
from tinytrain.passes.base import Runner
from tinytrain.passes.select_trainable import weighted_layers
from tinytrain.scheme.scheme import Scheme
from tinytrain.searches import frozen_rows
from tinytrain.searches.frozen_rows import FrozenRows, SearchRows
from tinytrain.searches.switches import Switches
from tinytrain.simulation.library import LibrarySamples

ROWS = 16
SAMPLES = 2 * ROWS + 9


@pytest.fixture(autouse=True)
def files_of_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen_rows, "ROWS", ROWS)


@pytest.fixture(scope="module")
def switches() -> Switches:
    """Set to the last layers."""
    made = Switches(build_step(GRAPHS["convolutions"](), Options(scheme="full"), Runner()))
    *body, _ = weighted_layers(GRAPHS["convolutions"]())
    made.set(Scheme("late", tuple(body[-1:])))
    assert made.library.model.frozen_bytes
    return made


@pytest.fixture(scope="module")
def data(switches: Switches) -> Dataset:
    spec = sample_spec(switches.compiled, None)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((SAMPLES, *spec.shape[1:])).astype(np.float32)
    return Dataset(spec, x, rng.integers(0, switches.compiled.classes, SAMPLES).astype(np.int32))


def rows(data: Dataset, index: np.ndarray, *, backwards: bool = False) -> SearchRows:
    targets = data.targets(index)
    return SearchRows(targets, data.quantized(index), of="x", rows=index, backwards=backwards)


LAYERS = (1, ())


def test_rows_are_those_of_the_samples(switches: Switches, data: Dataset, tmp_path: Path) -> None:
    library, rng = switches.library, np.random.default_rng(1)
    shared = FrozenRows({"x": data}, tmp_path / "frozen", "key")
    for backwards in (False, True):
        index = rng.permutation(SAMPLES)[: ROWS + 7]
        own = np.empty((len(index), library.model.frozen_bytes), np.uint8)
        library.frozen(data.quantized(index), own)
        found = shared.of(library, LAYERS, rows(data, index, backwards=backwards))
        assert found is not None and np.array_equal(found, own)
    assert len(list((tmp_path / "frozen").glob("frozen-*.bin"))) == 3


def test_each_row_is_computed_once(
    switches: Switches, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    frozen = switches.library.frozen

    def counting(inputs: np.ndarray, out: np.ndarray) -> None:
        counted.append(len(inputs))
        frozen(inputs, out)

    monkeypatch.setattr(switches.library, "frozen", counting)
    shared = [FrozenRows({"x": data}, tmp_path / "frozen", "key") for _ in range(2)]
    for one in shared:
        one.of(switches.library, LAYERS, rows(data, np.arange(SAMPLES)))
    assert counted == [ROWS, ROWS, 9]
    shared[0].of(switches.library, (2, ()), rows(data, np.arange(3)))
    assert counted[3:] == [ROWS], "other layers leave something else, and only what is asked for"


def test_where_nothing_is_shared_a_training_computes_its_own(
    switches: Switches, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = rows(data, np.arange(5))

    def shared(folder: str = "frozen") -> FrozenRows:
        return FrozenRows({"x": data}, tmp_path / folder, "key")

    library = switches.library
    assert shared().of(library, LAYERS, LibrarySamples(asked.targets, asked.inputs)) is None
    monkeypatch.setattr(frozen_rows, "MOST_BYTES", library.model.frozen_bytes * SAMPLES)
    assert shared().of(library, LAYERS, asked) is not None
    assert shared().of(library, (2, ()), asked) is None, "the files may take no more"
    monkeypatch.setattr(frozen_rows, "MOST_ROWS", SAMPLES - 1)
    assert shared("other").of(library, LAYERS, asked) is None


def test_a_full_disk_ends_nothing(
    switches: Switches, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(frozen_rows, "frozen_activations", full)
    switches_rows = FrozenRows({"x": data}, tmp_path / "frozen", "key")
    assert switches_rows.of(switches.library, LAYERS, rows(data, np.arange(5))) is None
    monkeypatch.setattr(switches, "_rows", switches_rows)
    asked = rows(data, np.arange(5))
    own = switches.with_frozen(replace(asked))
    assert own.frozen is not None and len(own.frozen) == 5
