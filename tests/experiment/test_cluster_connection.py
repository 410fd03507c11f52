"""What becomes of a connection that a cluster does not take at once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tinytrain.errors import UsageError
from tinytrain.experiments import cluster_connection
from tinytrain.experiments.cluster_connection import connect

SAID = """Initialization failure from server:
Traceback (most recent call last):
  File "proxier.py", line 773, in Datapath
    raise RuntimeError(
{reason}
"""
NOT_STARTED = "RuntimeError: Starting Ray client server failed. See ray_client_server_23000.err."
WRONG = "RuntimeError: the directory of the job is not there"


class Ray(SimpleNamespace):
    """Ray with a cluster that gives these reasons, one after the other, and then takes a client."""

    __version__ = "2.0"
    exceptions = SimpleNamespace(RayError=ValueError)

    def __init__(self, *reasons: str) -> None:
        super().__init__(reasons=list(reasons), calls=0)

    def init(self, address: str, **how: Any) -> None:
        self.calls += 1
        if self.reasons:
            raise ConnectionAbortedError(SAID.format(reason=self.reasons.pop(0)))


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of somebody who listens."""
    monkeypatch.setattr(cluster_connection, "_PAUSE", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as held:
        yield f"ray://127.0.0.1:{held.getsockname()[1]}"


def test_a_server_that_did_not_start_is_asked_for_again(address: str) -> None:
    ray = Ray(NOT_STARTED, NOT_STARTED)
    connect(ray, address)
    assert ray.calls == 3


def test_a_server_that_never_starts_is_told(address: str) -> None:
    ray = Ray(*[NOT_STARTED] * 9)
    wanted = f"cluster {address} cannot be reached: {NOT_STARTED.rstrip('.')}\n"
    with pytest.raises(UsageError) as caught:
        connect(ray, address)
    assert ray.calls == 3
    assert wanted in str(caught.value)


def test_what_else_goes_wrong_is_told_at_once(address: str) -> None:
    ray = Ray(WRONG)
    with pytest.raises(UsageError, match=f"cannot be reached: {WRONG}\n"):
        connect(ray, address)
    assert ray.calls == 1
