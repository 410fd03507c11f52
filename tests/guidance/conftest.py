"""Samples of the digits example, as its network was trained on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from examples.digits import data


def _saved(path: Path, images: data.Samples) -> Path:
    np.savez(path, x=images.x, y=images.y)
    return path


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _saved(tmp_path_factory.mktemp("digits") / "samples.npz", data.as_trained(data.TRAIN))


@pytest.fixture(scope="session")
def learn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _saved(tmp_path_factory.mktemp("digits") / "learn.npz", data.as_it_is_now(data.ADAPT))


@pytest.fixture(scope="session")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _saved(tmp_path_factory.mktemp("digits") / "judge.npz", data.as_it_is_now(data.TEST))
