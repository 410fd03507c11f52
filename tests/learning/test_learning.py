"""A short version of docs/learning.md: what ships still learns as well as it did."""

from __future__ import annotations

import statistics

import pytest

from tests.support.paths import SCHEMES, SHARED, SHARED_MODELS
from tinytrain.experiments.spec import Run
from tinytrain.experiments.toml_file import load_experiment
from tinytrain.experiments.worker import run_to_record

# One worker runs both tests: they share what takes minutes.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("learning")]

# 2,000 steps, 500 test images. Four seeds gave 53.4 to 62.0 %, 57.0 in the mean. The integers are
# the same on every machine, so what moves this is a change of the arithmetic; more than the spread
# is a loss.
MEAN, SPREAD = 0.57, 0.04

FILE = """
epochs = 1
evaluations = 1
seeds = [0, 1, 2, 3]
rates = [0.0016]
schedule = "cosine"
train_limit = 2000
test_limit = 500

[models.mcunet]
path = "{models}/mcunet-5fps-int8.onnx"
mean = [0.5]
std = [0.5]

[data.cifar10]
path = "{data}/cifar10.npz"

[schemes]
100kb = "{schemes}/mcunet-5fps-100kb.toml"

[rules.shipped]

[rules.unscaled]
qas = false
"""


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    """Accuracies of a rule, one for each seed."""
    if not SHARED_MODELS.is_dir():
        pytest.skip("needs ../shared with models/ and data/")
    folder = tmp_path_factory.mktemp("learning")
    places = {"models": SHARED_MODELS, "data": SHARED / "data"}
    file = folder / "short.toml"
    file.write_text(FILE.format(**places, schemes=SCHEMES))
    cache = folder / "cache"
    cache.mkdir()

    def accuracy(run: Run) -> float:
        record = run_to_record(run, "host", cache, lambda note, done, total: None)
        return float(record["curve"][-1]["accuracy"])

    return {
        group[0].rule.name: [accuracy(run) for run in group]
        for group in load_experiment(file).groups()
    }


def test_what_ships_learns_as_well_as_it_did(groups: dict[str, list[float]]) -> None:
    assert statistics.mean(groups["shipped"]) >= MEAN - SPREAD, groups


def test_the_bound_tells_a_worse_rule_apart(groups: dict[str, list[float]]) -> None:
    assert statistics.mean(groups["unscaled"]) < MEAN - SPREAD, groups
