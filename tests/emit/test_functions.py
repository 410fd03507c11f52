"""What emission records as called is what the C text calls: a model ships just that."""

from __future__ import annotations

import re
from itertools import cycle
from typing import Any

import pytest

from tests.support.graphs import GRAPHS
from tinytrain.compiler.concurrent import with_concurrent
from tinytrain.compiler.emission import emit_step
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step, within
from tinytrain.isa import ISAS
from tinytrain.passes.base import Runner

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "without health": {"health": False},
    "f32": {"gradient": "f32"},
    "s16": {"gradient": "s16", "label_smoothing": 0.1},
    "regression": {"loss": "mean_squared_error", "replay": 3, "replay_in": "flash"},
    "replay": {"replay": 3, "scheme": "last-1"},
    "distance": {"anomaly": "diagonal", "scheme": "last-1"},
    "covariance": {"anomaly": "covariance", "scheme": "last-1", "replay": 2},
    "error": {"anomaly": "error", "loss": "mean_squared_error"},
    "window": {"momentum": 0.9, "accumulate": 4, "clip_norm": 1.0, "weight_decay": 0.01},
    "schedule": {"schedule": "cosine:100", "warm_up": 5},
    "rows": {"scheme": "last-1", "feed": "rows"},
    "in between": {"portions": 0.01, "concurrent": True},
    "kept in portions": {"portions": 0.01, "replay": 3, "replay_in": "flash", "scheme": "last-1"},
}


def called(text: str) -> set[str]:
    """Names of the runtime's functions that C text calls."""
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return set(re.findall(r"\b(tt_\w+)\s*\(", code))


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize(("name", "isa"), list(zip(GRAPHS, cycle(ISAS))))
def test_recorded_is_called(name: str, isa: str, options: str) -> None:
    if options == "rows" and name == "signal":
        options = "plain"  # a signal is a single row
    chosen = Options(learning_rate=0.01, **OPTIONS[options])
    step = within(build_step(GRAPHS[name](), chosen, Runner(), isa=isa), 0)
    files = emit_step(with_concurrent(step))
    assert files.functions == called("".join(files.files.values()))
