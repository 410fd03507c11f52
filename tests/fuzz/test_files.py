"""Damaged data and saved files, a moment of `scripts/fuzz_files.py`."""

from __future__ import annotations

from tests.support.fuzz_scripts import told_by


def test_every_file_is_read_or_refused() -> None:
    told = told_by("fuzz_files.py", 600)
    assert "'refused'" in told and "'read'" in told
