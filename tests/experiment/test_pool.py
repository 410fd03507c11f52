"""Jobs in processes: what fails is told, and the others go on."""

from __future__ import annotations

import functools
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from tests.support.monitors import Heard
from tinytrain.errors import UsageError
from tinytrain.experiments.once import computed_once
from tinytrain.experiments.pool import Job, Report, run_jobs
from tinytrain.experiments.processes import Processes


def succeed(value: int, report: Report) -> dict[str, Any]:
    report("half", 1, 2)
    return {"value": value, "threads": os.environ["OMP_NUM_THREADS"]}


def refuse(report: Report) -> dict[str, Any]:
    raise UsageError("this is not possible", help="do something else")


def divide(report: Report) -> dict[str, Any]:
    return {"value": 1 // 0}


def die(report: Report) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def test_what_fails_takes_nothing_along() -> None:
    heard = Heard()
    jobs = [
        Job("dies", die),
        Job("refuses", refuse),
        Job("divides", divide),
        Job("one", functools.partial(succeed, 1)),
    ]

    def then(job: Job) -> list[Job]:
        return [Job("two", functools.partial(succeed, 2))] if job.title == "one" else []

    with Processes(1) as workers:
        run_jobs(jobs, workers, heard, then)
    assert {title: record["value"] for title, record in heard.done.items()} == {"one": 1, "two": 2}
    assert all(record["threads"] == "1" for record in heard.done.values())
    assert heard.reports == [("one", "half", 1, 2), ("two", "half", 1, 2)]
    assert heard.failures["dies"] == "the process of this run ended with signal 9"
    assert heard.failures["refuses"].startswith("this is not possible\n")
    assert "ZeroDivisionError" in heard.failures["divides"]


def test_a_file_is_computed_once(tmp_path: Path) -> None:
    calls = []

    def compute(path: Path) -> None:
        calls.append(path)
        time.sleep(0.2)
        path.write_text("found")

    def want() -> None:
        assert computed_once(tmp_path / "cache" / "file", compute).read_text() == "found"

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_what_fails_leaves_no_file(tmp_path: Path) -> None:
    def compute(path: Path) -> None:
        path.write_text("half")
        raise UsageError("no more")

    for _ in range(2):
        try:
            computed_once(tmp_path / "file", compute)
        except UsageError:
            assert [file.name for file in tmp_path.iterdir()] == ["locks"]
        else:
            raise AssertionError("it was computed")
