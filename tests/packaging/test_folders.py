"""The C-side folders are found in a checkout, and missed where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tinytrain import resources
from tinytrain.errors import InternalError


def test_folders_of_the_checkout() -> None:
    for name in resources.FOLDERS:
        assert resources.folder(name) == ROOT / name


def test_missing_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "tinytrain")
    with pytest.raises(InternalError, match="lacks its folder 'targets'"):
        resources.folder("targets")
