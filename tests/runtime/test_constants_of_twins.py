"""A constant that the C and the reference both state has one value."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tinytrain.reference import (
    adam,
    anomaly,
    class_health,
    class_weights,
    enrol,
    follow,
    guard,
    pseudo,
    update,
)

RUNTIME = Path(__file__).resolve().parents[2] / "runtime_c"

TWINS = (
    ("src/tt_guard.c", "RARE", guard.RARE),
    ("src/tt_guard.c", "RARER", guard.RARER),
    ("src/tt_guard.c", "EQUAL", guard.EQUAL),
    ("src/tt_guard.c", "PATIENCE", guard.PATIENCE),
    ("src/tt_guard.c", "RECOVERY", guard.RECOVERY),
    ("src/tt_guard.c", "HALVINGS", guard.HALVINGS),
    ("src/tt_class_health.c", "ENOUGH", class_health.ENOUGH),
    ("src/tt_class_weights.c", "LEAST", class_weights.LEAST),
    ("src/tt_class_weights.c", "MOST", class_weights.MOST),
    ("include/tt_enrol.h", "TT_NEIGHBOURS_MAX", enrol.MAX_NEIGHBOURS),
    ("include/tt_pseudo.h", "TT_PSEUDO_UNIT", pseudo.UNIT),
    ("src/tt_adam.c", "HORIZON", adam.HORIZON),
    ("src/tt_adam.c", "ROOT_BITS", adam.ROOT_BITS),
    ("include/tt_kernels.h", "TT_NO_RATE_EXPONENT", update.NO_RATE_EXPONENT),
    ("include/tt_follow.h", "TT_FOLLOW_FIRST_SHIFT", follow.FIRST_SHIFT),
    ("include/tt_follow.h", "TT_FOLLOW_LAST_SHIFT", follow.LAST_SHIFT),
    ("include/tt_follow.h", "TT_FOLLOW_LARGEST_RATIO", follow.LARGEST_RATIO),
    ("include/tt_follow.h", "TT_FOLLOW_MEAN_TOLERANCE", follow.MEAN_TOLERANCE),
    ("include/tt_follow.h", "TT_FOLLOW_SPREAD_TOLERANCE", follow.SPREAD_TOLERANCE),
    ("include/tt_anomaly.h", "TT_ANOMALY_MARGIN", anomaly.MARGIN),
    ("include/tt_anomaly.h", "TT_ANOMALY_FLOOR", anomaly.FLOOR),
    ("include/tt_anomaly.h", "TT_ANOMALY_BINS", anomaly.BINS),
    ("include/tt_anomaly.h", "TT_ANOMALY_LOWEST", anomaly.LOWEST),
)


@pytest.mark.parametrize(("file", "name", "value"), TWINS)
def test_c_and_reference_state_the_same(file: str, name: str, value: float) -> None:
    text = (RUNTIME / file).read_text(encoding="utf-8")
    found = re.findall(rf"(?:#define {name}|\b{name} =) ([0-9.e]+)[UF]?\b", text)
    assert len(found) == 1
    assert np.float32(found[0]) == np.float32(value)
