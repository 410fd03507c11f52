"""A small model that is compiled with a link, and its samples."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import tinytrain
from tests.support.boards import DIGITS, X, Y
from tinytrain import Product


@pytest.fixture(scope="session", autouse=True)
def host_compiler() -> None:
    if shutil.which("gcc") is None or shutil.which("make") is None:
        pytest.skip("gcc or make is missing")


@pytest.fixture(scope="session")
def folder(product: Product) -> Path:
    return product.directory


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Product:
    return tinytrain.compile_model(
        DIGITS,
        output=tmp_path_factory.mktemp("link") / "own",
        name="own",
        target="mps2-an500",
        calibration=X,
        scheme="last-2",
        link=True,
        self_test=True,
    )


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("data") / "data.npz"
    np.savez(place, x=X, y=Y)
    return place
