"""The places that a change touches stay as few as the project aims at."""

from __future__ import annotations

import pytest

from scripts.count_places import REPRESENTATIVES, Representative, places


@pytest.mark.parametrize("one", REPRESENTATIVES, ids=lambda one: one.name)
def test_no_more_files_name_it_than_should(one: Representative) -> None:
    found = places(one.name)
    assert 1 < len(found) <= one.aim, "\n".join(map(str, found))
