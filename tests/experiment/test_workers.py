"""Who does the jobs: what a user may ask for, and what is said where there is nobody."""

from __future__ import annotations

import re
import socket
import tomllib
from pathlib import Path

import pytest

from tests.support.experiments import write_experiment
from tests.support.paths import ROOT
from tinytrain.cli import main
from tinytrain.experiments.cluster import Cluster
from tinytrain.experiments.parameters import WORKERS
from tinytrain.experiments.processes import Processes
from tinytrain.experiments.workers import open_workers


def test_the_kinds_of_workers() -> None:
    assert isinstance(open_workers(None), Processes)
    assert isinstance(open_workers(4), Processes)
    assert isinstance(open_workers("ray"), Cluster)
    assert isinstance(open_workers("ray://10.0.0.1:10001"), Cluster)


def test_developers_have_ray() -> None:
    """Where it is missing, the tests of a cluster are left out; `make setup` installs it."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert re.fullmatch(r"ray\[client\]==[\d.]+", *extras["ray"])
    assert any(re.match(r"tinytrain\[.*\bray\b", name) for name in extras["dev"])


@pytest.mark.parametrize("word", ["ray", "ray://host:10001", "ray://[::1]:10001"])
def test_a_cluster_is_a_value_of_workers(word: str) -> None:
    assert WORKERS.parse(word) == word


@pytest.mark.parametrize("word", ["rays", "ray://", "ray://host", "ray://a b:1", "ray://::1:10001"])
def test_what_is_no_address_is_refused(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiment", "any.toml", "--workers", word]) == 2
    wanted = "--workers must be ray, ray://HOST:PORT or an integer between 1 and 1024, got"
    assert wanted in capsys.readouterr().err


def test_without_ray_the_message_says_how_to_get_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    file = write_experiment(tmp_path)
    words = ["experiment", str(file), "-o", str(tmp_path / "results"), "--workers", "ray"]
    assert main([*words, "--cache", str(tmp_path / "cache")]) == 2
    told = capsys.readouterr().err
    assert "error: --workers ray needs Ray, which is not installed" in told
    assert "help: pip install 'tinytrain[ray]'" in told


def test_a_cluster_that_cannot_be_reached(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: tinytrain[ray]")
    file = write_experiment(tmp_path)
    with socket.socket() as held:
        # Nobody listens there.
        held.bind(("127.0.0.1", 0))
        address = f"ray://127.0.0.1:{held.getsockname()[1]}"
        words = ["experiment", str(file), "-o", str(tmp_path / "results"), "--workers", address]
        assert main([*words, "--cache", str(tmp_path / "cache")]) == 2
    told = capsys.readouterr().err
    assert f"error: the Ray cluster {address} cannot be reached: Connection refused\n" in told
    assert "Traceback" not in told
