"""What names a result: all of tinytrain but what only shows results."""

from __future__ import annotations

import pytest

from tests.support.paths import ROOT
from tinytrain.experiments.identity import SHOWS_ONLY


@pytest.mark.parametrize("name", SHOWS_ONLY)
def test_what_decides_no_result_is_there(name: str) -> None:
    path = ROOT / "tinytrain" / name
    assert path.is_dir() if name.endswith("/") else path.is_file()
