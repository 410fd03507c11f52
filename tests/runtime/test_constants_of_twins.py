"""A constant that the C and the reference both state has one value."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tinytrain.reference import adam, class_health, class_weights, enrol, guard

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
    ("src/tt_adam.c", "HORIZON", adam.HORIZON),
    ("src/tt_adam.c", "ROOT_BITS", adam.ROOT_BITS),
)


@pytest.mark.parametrize(("file", "name", "value"), TWINS)
def test_c_and_reference_state_the_same(file: str, name: str, value: float) -> None:
    text = (RUNTIME / file).read_text(encoding="utf-8")
    found = re.findall(rf"(?:#define {name}|\b{name} =) ([0-9.e]+)[UF]?\b", text)
    assert len(found) == 1
    assert float(found[0]) == pytest.approx(float(value), rel=1e-6)
