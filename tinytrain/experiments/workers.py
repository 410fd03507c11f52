"""The workers that a user asks for: processes of this machine, or a Ray cluster."""

from __future__ import annotations

import os

from tinytrain.experiments.pool import Workers
from tinytrain.experiments.processes import Processes


def open_workers(workers: int | str | None) -> Workers:
    """The workers that a user asks for; a `with` statement begins and ends them.

    Args:
        workers: processes at a time, at least 1; None takes one for each core. `ray` and
            `ray://HOST:PORT` take a Ray cluster: `Cluster`.
    """
    if isinstance(workers, str):
        from tinytrain.experiments.cluster import Cluster

        return Cluster(None if workers == "ray" else workers)
    return Processes(workers or len(os.sched_getaffinity(0)))
