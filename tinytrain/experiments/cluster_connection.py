"""How to become part of a Ray cluster, quietly, and what is said where that fails."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tinytrain.errors import UsageError
from tinytrain.tools import how_to_get

REACHED = 10.0
"""Seconds until a cluster has to answer."""

_TRIES = 3
"""Times that a cluster is asked to start a server for this client."""

_PAUSE = 2.0
"""Seconds between two of them."""

_NOT_STARTED = "Starting Ray client server failed"
"""What the cluster says where its server ended as it began, as it may on a busy machine."""

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_PROMPT_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""What Ray reads when it is imported, so that it tells nobody of its use and prints nothing."""

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def load_ray() -> Any:
    """Ray, quiet.

    Raises:
        UsageError: it is not installed.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    found = importlib.util.find_spec("ray")
    # A folder of that name is none.
    if found is None or found.loader is None:
        raise UsageError("--workers ray needs Ray, which is not installed", help=how_to_get("ray"))
    token = Path.home() / ".ray" / "auth_token"
    if token.exists() or {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ):
        # A cluster wants it by default, and Ray would not show it to one that is named.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    import ray

    return ray


def connect(ray: Any, address: str | None) -> None:
    """Become part of a cluster; starts one where none is named and none is there.

    Raises:
        UsageError: it cannot be reached.
    """
    how: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": "CRITICAL",
        "runtime_env": {"env_vars": _ONE_THREAD},
    }
    try:
        with _same_signals(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if address is not None:
                _reach(address)
                _init(ray, address, how)
                # What the other end logs comes over, whatever the level.
                logging.getLogger("ray.util.client.logsclient").setLevel(logging.CRITICAL)
                return
            try:
                ray.init("auto", **how)
            except ConnectionError:
                cores = len(os.sched_getaffinity(0))
                ray.init("local", num_cpus=cores, include_dashboard=False, **how)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        where = address or "of this machine"
        raise UsageError(
            f"the Ray cluster {where} cannot be reached: {_reason(error)}",
            help="check that it runs (ray status), that its port can be reached from here, that "
            "its ~/.ray/auth_token is here, too, and that it has "
            f"Ray {ray.__version__} and this version of Python",
        ) from error


def _init(ray: Any, address: str, how: dict[str, Any]) -> None:
    """`ray.init`, again where the cluster could not start a server for this client."""
    for left in reversed(range(_TRIES)):
        try:
            ray.init(address, **how)
            return
        except ConnectionError as error:
            if not left or _NOT_STARTED not in str(error):
                raise
        time.sleep(_PAUSE)


def _reach(address: str) -> None:
    """Whether somebody listens: Ray itself takes half a minute to say no."""
    found = urlsplit(address if "://" in address else f"ray://{address}")
    if found.hostname and found.port:
        socket.create_connection((found.hostname, found.port), REACHED).close()


@contextmanager
def _same_signals() -> Iterator[None]:
    """Ray replaces what happens at SIGTERM; this puts it back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _reason(error: Exception) -> str:
    """Why; a traceback of the cluster's own server says it in its last line."""
    _, found, trace = str(error).strip().partition("Traceback (most recent call last):\n")
    return trace.splitlines()[-1].rstrip(".") if found else first_line(error)


def first_line(error: Exception) -> str:
    """What an error of Ray, which may be many lines long, says first."""
    said = (isinstance(error, OSError) and error.strerror) or str(error).strip()
    lines = said.splitlines() or [type(error).__name__]
    return lines[0].strip().rstrip(".")
