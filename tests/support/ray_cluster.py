"""A Ray cluster on this machine, as though it were two machines with a processor each."""

from __future__ import annotations

import os
import secrets
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from tests.support.paths import ROOT
from tests.support.surroundings import free_port

TOKEN = secrets.token_hex(16)
"""One for all clusters: a process keeps the first that it has read."""


class TwoMachines:
    """The cluster.

    Attributes:
        address: of a driver on one of its machines.
        client: of a driver anywhere.
        folder: what its machines have for temporary files.
    """

    def __init__(self, cluster: Any, port: int, folder: Path) -> None:
        self._cluster = cluster
        self._second = cluster.add_node(num_cpus=1)
        self.address: str = cluster.address
        self.client = f"ray://127.0.0.1:{port}"
        self.folder = folder

    def kill_second(self) -> None:
        """Ends one of the machines with all that runs on it."""
        self._cluster.remove_node(self._second, allow_graceful=False)


@contextmanager
def two_machines() -> Iterator[TwoMachines]:
    """The cluster, for as long as it is needed."""
    from ray._raylet import Config
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory(prefix="tinytrain-") as place, _interruptions():
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            "PYTHONPATH": os.pathsep.join(paths),
            "TMPDIR": place,
            # The path of a socket must be short.
            "RAY_TMPDIR": tempfile.gettempdir(),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": TOKEN,
        }
        port = free_port()
        with mock.patch.dict(os.environ, environment):
            # It may have been imported before.
            Config.initialize("")
            cluster = Cluster(
                initialize_head=True,
                head_node_args={
                    "num_cpus": 1,
                    "ray_client_server_port": port,
                    # A machine that is gone is missed after a second.
                    "_system_config": {
                        "health_check_initial_delay_ms": 0,
                        "health_check_period_ms": 500,
                        "health_check_failure_threshold": 2,
                    },
                },
            )
            try:
                yield TwoMachines(cluster, port, Path(place))
            finally:
                cluster.shutdown()


@contextmanager
def _interruptions() -> Iterator[None]:
    """Takes SIGINT: in a job in the background it is ignored, here and in all that is started."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
